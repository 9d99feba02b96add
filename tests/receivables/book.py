"""A book of receivables, made up: two years' worth of invoices of one business.

It has the columns of the late payment histories that IBM once published (customer, number, date,
due date, amount, disputed, settled, days to settle, days late) and is drawn to their known shape:
terms of 30 days, about 60 a piece, paid after 26 days on the average with a third of them late, a
quarter disputed. Real rows are not used, for no copy of them says what it may be used for. When a
dispute was opened and closed, and what was paid in two parts, those histories do not say.
"""

from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import NamedTuple

TERMS = timedelta(days=30)


class Invoice(NamedTuple):
    customer: str
    number: str
    issued: date
    due: date
    amount: Decimal
    settled: date
    disputed: tuple[date, date] | None
    """Opened, and closed as rejected, before it was settled."""
    part: tuple[date, Decimal] | None
    """Paid before it was settled, and how much of it."""


def book(invoices: int, *, over: timedelta, seed: int = 2013) -> list[Invoice]:
    """The same for the same numbers, in order of issue."""
    draw = Random(seed)
    made = [_invoice(draw, n, invoices, over) for n in range(invoices)]
    return sorted(made, key=lambda one: (one.issued, one.number))


def _invoice(draw: Random, number: int, invoices: int, over: timedelta) -> Invoice:
    issued = date(2013, 1, 2) + timedelta(days=draw.randrange(over.days))
    disputed = draw.random() < 0.23
    days_to_settle = max(1, round(draw.gauss(35 if disputed else 24, 12)))
    settled = issued + timedelta(days=days_to_settle)
    amount = Decimal(max(500, round(draw.gauss(5990, 2050)))) / 100
    return Invoice(
        f"c-{draw.randrange(max(8, invoices // 25)):03}",
        f"{number:07}",
        issued,
        issued + TERMS,
        amount,
        settled,
        _dispute(draw, issued, settled) if disputed and days_to_settle > 3 else None,
        _part(draw, issued, settled, amount) if draw.random() < 0.2 else None,
    )


def _dispute(draw: Random, issued: date, settled: date) -> tuple[date, date]:
    days = (settled - issued).days
    opened = draw.randrange(1, days - 1)
    closed = draw.randrange(opened + 1, days)
    return issued + timedelta(days=opened), issued + timedelta(days=closed)


def _part(
    draw: Random, issued: date, settled: date, amount: Decimal
) -> tuple[date, Decimal] | None:
    days = (settled - issued).days
    if days < 2:
        return None
    share = Decimal(draw.randrange(1, int(amount * 100))) / 100
    return issued + timedelta(days=draw.randrange(1, days)), share
