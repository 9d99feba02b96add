"""A book of receivables, replayed day by day through the engine on a test clock.

At nine what is due goes out; at noon the day's invoices, payments and disputes come in.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

import pytest
from harness import Layby
from receivables.book import Invoice, book
from stateful.plain.customer import Customer
from stateful.plain.facts import record
from stateful.plain.plan import on_days
from stateful.plain.sending import settle, start

from storage.audit import run_audit

PLAN = on_days(-20, -10, -3, 1, 4, 9, 20, late=frozenset({3}))
NINE, NOON = time(9), time(12)
Fact = tuple[str, dict[str, Any]]


class Sent(NamedTuple):
    number: str
    step: int
    on: date


class Replay:
    """The same days through the engine and through the plain planner."""

    def __init__(self, layby: Layby, invoices: list[Invoice]) -> None:
        self.layby, self.invoices = layby, invoices
        self.first = invoices[0].issued
        self.last = max(max(one.settled, one.due) for one in invoices) + timedelta(days=21)
        layby.now = datetime.combine(self.first, time(6), tzinfo=UTC)
        self.plain: dict[str, Customer] = {}
        self.days: dict[date, list[tuple[Invoice, Fact]]] = defaultdict(list)
        for one in invoices:
            for day, fact in _history(one):
                self.days[day].append((one, fact))

    def run(self) -> None:
        self.layby.set_up(active_limit=1000, schedule=PLAN.as_json())
        names = sorted({one.customer for one in self.invoices})
        profile = {"email": "a@example.org", "name": "Ann"}
        self.layby.must("add_customer", customers=names, profile=profile)
        self.layby.must("activate", customers=names)
        self.plain = {name: Customer(self.layby.now) for name in names}
        day = self.first
        while day <= self.last:
            self._at(day, NINE)
            self._at(day, NOON)
            day += timedelta(days=1)

    def _at(self, day: date, hour: time) -> None:
        now = datetime.combine(day, hour, tzinfo=UTC)
        if hour == NOON and not self.days[day]:
            return
        self.layby.travel(now - self.layby.now)
        for plain in self.plain.values():
            plain.go_on(now)
        if hour == NOON:
            for invoice, (kind, fields) in self.days[day]:
                self.layby.accept(kind, customers=[invoice.customer], **fields)
                self._plainly(self.plain[invoice.customer], kind, fields)
            self.layby.ring()
        self.layby.deliver()
        for plain in self.plain.values():
            _deliver(plain)

    def _plainly(self, plain: Customer, kind: str, fields: dict[str, Any]) -> None:
        if kind == "record":
            record(plain, fields["fact"])
        else:
            due = date.fromisoformat(fields["due_date"])
            plain.assign("dunning", PLAN, fields["reference"], due)

    def sent(self) -> list[Sent]:
        rows = self.layby.rows(
            "SELECT e.reference, s.step, s.business_at FROM sends s "
            "JOIN enrolments e USING (account, enrolment) WHERE s.state = 'sent'"
        )
        return sorted(Sent(number, step, at.date()) for number, step, at in rows)

    def planned(self) -> list[Sent]:
        return sorted(
            Sent(run.reference, line.step, line.at.date())
            for plain in self.plain.values()
            for run in plain.runs
            for line in run.ledger
            if line.state == "sent"
        )


def _history(one: Invoice) -> Iterator[tuple[date, Fact]]:
    money = {"amount": str(one.amount), "currency": "EUR"}
    yield one.issued, _fact(one, "invoice", due_date=str(one.due), **money)
    assigned = {"schedule": "dunning", "reference": one.number, "due_date": str(one.due)}
    yield one.issued, ("assign_schedule", assigned)
    rest = one.amount
    if one.part is not None:
        paid_on, amount = one.part
        rest -= amount
        yield paid_on, _fact(one, "payment", amount=str(amount), currency="EUR")
    if one.disputed is not None:
        opened, closed = one.disputed
        yield opened, _fact(one, "dispute")
        yield closed, _fact(one, "dispute", outcome="rejected")
    yield one.settled, _fact(one, "payment", amount=str(rest), currency="EUR")


def _fact(one: Invoice, fact: str, **of: Any) -> Fact:
    return "record", {"fact": {"fact": fact, "reference": one.number, **of}}


def _deliver(plain: Customer) -> None:
    """All that is due goes out, and what that makes due."""
    while any(run.due and run.due <= plain.now for run in plain.live):
        start(plain)
        for run in [run for run in plain.runs if run.started]:
            settle(plain, run, "accepted")


def replayed(layby: Layby, invoices: list[Invoice]) -> None:
    replay = Replay(layby, invoices)
    replay.run()
    sent = replay.sent()
    by_number = {one.number: one for one in invoices}
    after = [one for one in sent if one.on > by_number[one.number].settled]
    assert after == [], "nobody is reminded of what is paid"
    in_dispute = [
        one
        for one in sent
        if (dispute := by_number[one.number].disputed) and dispute[0] < one.on < dispute[1]
    ]
    assert in_dispute == [], "nor of what is in dispute"
    assert len(sent) > len(invoices) / 2
    assert sent == replay.planned(), "and every other step goes out on its day"
    assert layby.one("SELECT count(*) FROM enrolments WHERE slot IS NOT NULL") == 0
    with layby.engine.connect() as connection:
        assert [r.check.name for r in run_audit(connection) if r.found] == []


def test_book_replayed_day_by_day_reminds_of_what_is_owed_and_of_nothing_else(
    layby: Layby,
) -> None:
    invoices = book(40, over=timedelta(days=25))
    assert sum(one.disputed is not None for one in invoices) > 5
    assert sum(one.part is not None for one in invoices) > 3
    replayed(layby, invoices)


@pytest.mark.soak
def test_two_years_of_a_book_replayed_day_by_day(layby: Layby) -> None:
    replayed(layby, book(2466, over=timedelta(days=700)))
