"""What the model of the journey is made of: people, runs through schedules, commands, words."""

from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any, NamedTuple

from stateful.plain.caps import Cap
from stateful.plain.hours import Window
from stateful.plain.plan import Anchor, Plan, Step

LEASE_SECONDS = 30
QUEUES = ("lifecycle", "bulk")

Order = tuple[int, int]
"""Issued long ago, by day; else as received, after all of those."""


MORNING, EVENING = time(7), time(19)
EIGHT, NINE = time(8, 30), time(9)
CALLS = Step("one", at=None), Step("two", 1, "sms", at=None), Step("three", 3, at=None)
DEFINITIONS = {
    "calls": (
        Plan(CALLS, by_moment=True),
        Plan(
            (Step("two", 0, "sms", at=None), Step("one", at=None)),
            by_moment=True,
            window=Window(("mon", "tue", "thu", "fri", "sat"), time(6), time(22)),
        ),
    ),
    "bill": (
        Plan(
            (Step("due", at=NINE), Step("over", 1, at=EIGHT)),
            ends=False,
            window=Window(opens=time(8), until=time(10)),
        ),
        Plan((Step("over", 1, at=MORNING), Step("last", 4, "sms", at=EVENING))),
    ),
}
CAPS = ((Cap(2, 24),), (), (Cap(1, 30, "sms"), Cap(3, 60)), (Cap(1, 20, per_debt=True),))
QUIET = (None, (time(21), time(8, 30)))


@dataclass
class Person:
    place: str
    phone: bool
    zone: str | None = None
    paused: bool = False
    kept: bool = False


@dataclass(eq=False)
class Run:
    """One enrolment. `where`: what its present step is, pending, started or neither."""

    customer: str
    schedule: str
    version: int
    reference: str
    anchor: Anchor
    plan: Plan
    step: int = 0
    held: bool = False
    ended: str | None = None
    where: str | None = None
    planned_at: datetime | None = None
    due_at: datetime | None = None
    attempts: int = 0
    send: int | None = None
    deferred: str | None = None
    """Put off by this rule."""
    ended_at: datetime | None = None
    begun_at: datetime | None = None
    """When what is started was."""
    moved: bool = False
    """It counts from another anchor since its send was started."""

    @property
    def live(self) -> bool:
        return self.ended is None


@dataclass(eq=False)
class Told:
    """A command that was accepted, for those it still waits for.

    A bulk one reaches those who are `aimed` at: all, once it is resolved. `looked`: how far that
    is, by number in the list, or by the name that a filter came to.
    """

    command: str
    kind: str
    fields: dict[str, Any]
    order: Order
    waiting: list[str]
    asked: dict[str, str] | None = None
    bulk: bool = False
    resolved: bool = True
    aimed: set[str] = field(default_factory=set)
    listed: list[str] = field(default_factory=list)
    looked: int = 0
    looked_to: str = ""

    def waits_for(self, name: str) -> bool:
        return name in self.waiting and (self.resolved or name in self.aimed)


class Said(NamedTuple):
    """A suppression. Everybody of the machine has one address and, who has one, one number."""

    kind: str
    aim: str
    customer: str | None
    """Null: of the address or the number."""
    channel: str


class Line(NamedTuple):
    state: str
    cancelled: int = 0
    open: frozenset[int] | None = None


class Attempt(NamedTuple):
    """A send that was started once: whose, which step, and how many there had been with it."""

    run: Run
    step: int
    attempts: int
