"""What happens to Fernhill's customers in their seven weeks: who pays, moves, pauses, comes back.

The dice are loaded the same way at each run. Whom a move meets is decided by
what is due, so that moves race with deliveries for the same customers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any, NamedTuple

from storage.demo_reads import Coming

SCHEDULE = "reminders"
BILLING_RUN = "2027-03"
BEGINS = datetime(2027, 2, 24, 12, tzinfo=UTC)
ENDS = datetime(2027, 4, 15, tzinfo=UTC)
_CROWD = 12
"""Moves come where at least so many reminders are due at once."""
_MOVES_AT_ONCE = 5
_MOVES_AT_MOST = 48
_PAUSED_FOR = timedelta(days=4)
_GONE_FOR = timedelta(days=12)
_REASONS = (
    ("crm", "moved house, contract ended"),
    ("crm", "a colleague talks to them"),
    ("billing", "insolvency, the court writes now"),
    ("crm", "complained, wants no more reminders"),
    ("billing", "invoice withdrawn"),
)


class Invoice(NamedTuple):
    """What a customer is reminded of."""

    customer: str
    amount: str
    currency: str
    due_date: date


class Deed(NamedTuple):
    """A command that some upstream system publishes."""

    kind: str
    source: str
    fields: dict[str, Any]


@dataclass
class Story:
    """Tells, at each moment that the clock travels to, what the upstream systems publish."""

    invoices: dict[str, Invoice]
    moved: dict[str, datetime] = field(default_factory=dict)
    paid: set[str] = field(default_factory=set)
    paused: dict[str, datetime] = field(default_factory=dict)
    resumed: set[str] = field(default_factory=set)
    reactivated: str | None = None
    _dice: Random = field(default_factory=lambda: Random(27))  # noqa: S311 - no secret
    _pays_at: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for invoice in self.invoices.values():
            if self._dice.random() < 0.5:  # noqa: PLR2004 - every other customer pays in time
                days = timedelta(days=self._dice.triangular(-7, 24, 4))
                noon = datetime.combine(invoice.due_date, time(12), UTC)
                self._pays_at[invoice.customer] = noon + days

    def until(self, now: datetime, due: Sequence[Coming]) -> list[Deed]:
        """What is published as the clock travels to `now`, where `due` will be due."""
        here = [one.customer for one in due if one.customer in self.invoices]
        deeds = [*self._payments(now), *self._moves(now, here), *self._pauses(now, here)]
        self._dice.shuffle(deeds)
        return [*self._returns(now), *deeds]

    def _payments(self, now: datetime) -> Iterator[Deed]:
        paying = [name for name, at in self._pays_at.items() if at <= now]
        for name in paying:
            del self._pays_at[name]
            invoice = self.invoices[name]
            self.paid.add(name)
            fact = {
                "fact": "payment",
                "reference": BILLING_RUN,
                "amount": invoice.amount,
                "currency": invoice.currency,
            }
            yield Deed("record", "bank", {"customers": [name], "fact": fact})

    def _moves(self, now: datetime, here: list[str]) -> Iterator[Deed]:
        if len(here) < _CROWD:
            return
        room = _MOVES_AT_MOST - len(self.moved)
        free = [name for name in here if name not in self.moved and name not in self.paid]
        for name in self._dice.sample(free, min(_MOVES_AT_ONCE, len(free), room)):
            self.moved[name] = now
            source, reason = self._dice.choice(_REASONS)
            yield Deed("move_to_directory", source, {"customers": [name], "reason": reason})

    def _pauses(self, now: datetime, here: list[str]) -> Iterator[Deed]:
        gone = self.moved.keys() | self.paid | self.paused.keys()
        free = [name for name in here if name not in gone]
        if len(self.paused) < 8 and len(free) > 6:  # noqa: PLR2004 - a few, from a few crowds
            chosen = self._dice.sample(free, 2)
            self.paused |= dict.fromkeys(chosen, now)
            yield Deed("pause", "crm", {"customers": chosen, "reason": "they asked for some days"})

    def _returns(self, now: datetime) -> Iterator[Deed]:
        rested = {name for name, at in self.paused.items() if now - at >= _PAUSED_FOR}
        if back := sorted(rested - self.resumed):
            self.resumed.update(back)
            yield Deed("resume", "crm", {"customers": back})
        name, at = next(iter(self.moved.items()), ("", now))
        if self.reactivated is None and now - at >= _GONE_FOR:
            self.reactivated = name
            yield Deed("reactivate", "crm", {"customers": [name], "reason": "is a customer again"})
            later = self.invoices[name].due_date + timedelta(days=14)
            yield assignment([name], "2027-04", later)


def assignment(customers: list[str], billing_run: str, due_date: date) -> Deed:
    """Put customers on the schedule for invoices that are due on the same day."""
    fields = {
        "customers": customers,
        "schedule": SCHEDULE,
        "reference": billing_run,
        "due_date": due_date,
    }
    return Deed("assign_schedule", "billing", fields)
