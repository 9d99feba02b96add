"""One customer's run through a schedule."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from stateful.plain.plan import DAY, Plan, Step


class Line(NamedTuple):
    """What became of a step. `send` is the number of the attempt that it became so by."""

    step: int
    state: str
    rule: str
    send: int | None
    at: datetime


@dataclass(eq=False)
class Run:
    """`pending` and `started` exclude each other; a run that is held or over has nothing pending.

    `number` is that of its present send.
    """

    schedule: str
    plan: Plan
    version: int
    reference: str
    anchor: date
    zone: ZoneInfo
    shift: int = 0
    """Days, by steps that moved what follows them."""
    number: int = 0
    held: bool = False
    pending: datetime | None = None
    due: datetime | None = None
    channel: str | None = None
    fallback: str | None = None
    """Which rule closed the way that is its own."""
    attempts: int = 0
    started: bool = False
    send: int | None = None
    """Which attempt is started."""
    late_days: int = 0
    """By how much the one that is started moves what follows."""
    moved: bool = False
    """What it counts from was moved since that began."""
    end: str | None = None
    ledger: list[Line] = field(default_factory=list)

    @property
    def step(self) -> Step:
        return self.plan.step(self.number)

    @property
    def coming(self) -> list[Step]:
        return [self.plan.step(number) for number in range(self.number, self.plan.length)]

    def moment(self, number: int) -> datetime:
        return self.plan.moment(self.anchor + self.shift * DAY, number, self.zone)

    def day(self, now: datetime) -> date:
        """Where the customer is."""
        return now.astimezone(self.zone).date()

    def schedule_it(self) -> None:
        self.pending = self.due = self.moment(self.number)
        self.channel, self.fallback = self.step.channel, None
        self.attempts = 0

    def schedule_again(self, channel: str, attempts: int) -> None:
        """At another moment, by the way that it goes by now."""
        fallback = self.fallback
        self.schedule_it()
        self.channel, self.fallback, self.attempts = channel, fallback, attempts

    def unschedule(self) -> None:
        self.pending = self.due = None
        if not self.started:
            self.channel = None

    def write(self, state: str, rule: str, now: datetime) -> None:
        assert self.number not in [line.step for line in self.ledger], "a step has one outcome"
        self.ledger.append(Line(self.number, state, rule, self.send, now))

    def stop(self) -> None:
        """What is started is no more."""
        self.started = self.moved = False
        self.send, self.late_days = None, 0

    def over(self, state: str, rule: str, now: datetime) -> None:
        """Its present send is; on to the next one."""
        self.write(state, rule, now)
        self.shift += self.late_days
        self.stop()
        self.unschedule()
        if self.end is None:
            self.number += 1
            if self.number == self.plan.length:
                self.end, self.held = "completed", False
            elif not self.held:
                self.schedule_it()
