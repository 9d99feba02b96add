"""What the model of the journey is made of: people, runs through schedules, commands, words."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

LEASE_SECONDS = 30
QUEUES = ("lifecycle", "bulk")

Order = tuple[int, int]
"""Issued long ago, by day; else as received, after all of those."""


class Step(NamedTuple):
    offset: timedelta
    at: time | None
    channel: str


class Definition(NamedTuple):
    """A schedule as the machine puts it, and as the model reads it."""

    steps: tuple[Step, ...]
    ended_by_payment: bool

    def as_json(self) -> dict[str, Any]:
        steps: list[dict[str, Any]] = [
            {
                "offset": step.offset,
                "channel": step.channel,
                "template": "hello" if step.channel == "email" else "nudge",
                **({"at": step.at} if step.at else {}),
            }
            for step in self.steps
        ]
        return {
            "anchor": "due_date" if self.steps[0].at else "assigned_at",
            "steps": [{**step, "offset": f"P{step['offset'].days}D"} for step in steps],
            "ends": ["paid"] if self.ended_by_payment else [],
        }


def _days(*steps: tuple[int, time | None, str]) -> tuple[Step, ...]:
    return tuple(Step(timedelta(days=days), at, channel) for days, at, channel in steps)


DEFINITIONS = {
    "calls": (
        Definition(_days((0, None, "email"), (1, None, "sms"), (3, None, "email")), True),  # noqa: FBT003
        Definition(_days((0, None, "sms"), (0, None, "email")), True),  # noqa: FBT003
    ),
    "bill": (
        Definition(_days((0, time(9), "email"), (1, time(8, 30), "email")), False),  # noqa: FBT003
        Definition(_days((1, time(7), "email"), (4, time(19), "sms")), True),  # noqa: FBT003
    ),
}


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
    anchor: date | datetime
    definition: Definition
    step: int = 0
    held: bool = False
    ended: str | None = None
    where: str | None = None
    planned_at: datetime | None = None
    due_at: datetime | None = None
    attempts: int = 0
    send: int | None = None
    deferred: str | None = None
    """Put off because its template is paused, or a command that waits for a paused queue."""
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
