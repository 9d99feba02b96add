"""One customer's run through a schedule."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from stateful.plain.caps import Message
from stateful.plain.hours import DAY
from stateful.plain.plan import Anchor, Plan, Step
from stateful.plain.rules import Went
from stateful.plain.where import Where


class Line(NamedTuple):
    """What became of a step. `send` is the number of the attempt that it became so by."""

    step: int
    state: str
    rule: str
    send: int | None
    at: datetime
    channel: str | None


class Begun(NamedTuple):
    """A send: when it was planned for, and when it began."""

    planned: datetime
    at: datetime


class PutOff(NamedTuple):
    """Which rule put a step off, first and last, how often, and until when."""

    first: datetime
    last: datetime
    times: int
    until: datetime


@dataclass(eq=False)
class Run:
    """`pending` and `started` exclude each other; a run that is held or over has nothing pending.

    `number` is that of its present send.
    """

    schedule: str
    plan: Plan
    version: int
    reference: str
    anchor: Anchor
    where: Where
    """Its customer is."""
    shift: timedelta = timedelta()
    """By steps that moved what follows them."""
    number: int = 0
    held: bool = False
    pending: datetime | None = None
    due: datetime | None = None
    deferred: str | None = None
    """By which rule."""
    put_off: dict[tuple[int, str], PutOff] = field(default_factory=dict)
    """By send and rule."""
    channel: str | None = None
    fallback: str | None = None
    """Which rule closed the way that is its own."""
    attempts: int = 0
    begun: Begun | None = None
    """What is started."""
    send: int | None = None
    """Which attempt that is."""
    last: Went | None = None
    """Its last message, as it was known when that was over."""
    moved: bool = False
    """What it counts from was moved since that began."""
    end: str | None = None
    ended: datetime | None = None
    ledger: list[Line] = field(default_factory=list)

    @property
    def step(self) -> Step:
        return self.plan.step(self.number)

    @property
    def coming(self) -> list[Step]:
        return [self.plan.step(number) for number in range(self.number, self.plan.length)]

    def is_due(self, now: datetime) -> bool:
        return self.due is not None and self.due <= now

    @property
    def started(self) -> bool:
        return self.begun is not None

    @property
    def zone(self) -> ZoneInfo:
        return self.where.zone_by(self.plan)

    @property
    def counts_from(self) -> Anchor:
        return self.anchor + self.shift

    def moment(self, number: int) -> datetime:
        calendar = self.where.calendar_by(self.plan)
        return self.plan.moment(self.counts_from, number, self.zone, calendar)

    def day(self, now: datetime) -> date:
        """Where the customer is."""
        return now.astimezone(self.zone).date()

    @property
    def messages(self) -> list[Message]:
        """What counts against a cap."""
        told = [
            Message(line.at, line.channel, self.reference)
            for line in self.ledger
            if line.state in ("sent", "unknown") and line.channel
        ]
        if self.begun and self.channel:
            told.append(Message(self.begun.at, self.channel, self.reference))
        return told

    def schedule_it(self) -> None:
        self.pending = self.due = self.moment(self.number)
        self.channel, self.fallback = self.step.channel, None
        self.attempts, self.deferred = 0, None

    def schedule_again(self, channel: str, attempts: int) -> None:
        """At another moment, by the way that it goes by now."""
        fallback = self.fallback
        self.schedule_it()
        self.channel, self.fallback, self.attempts = channel, fallback, attempts

    def unschedule(self) -> None:
        self.pending = self.due = self.deferred = None
        if not self.started:
            self.channel = None

    def write(self, state: str, rule: str, now: datetime) -> None:
        assert self.number not in [line.step for line in self.ledger], "a step has one outcome"
        self.ledger.append(Line(self.number, state, rule, self.send, now, self.channel))

    def stop(self) -> None:
        """What is started is no more."""
        self.begun, self.send, self.moved = None, None, False

    def stop_for_good(self, reason: str, now: datetime) -> None:
        self.end, self.ended, self.held = reason, now, False

    def late_by(self, zone: ZoneInfo) -> timedelta:
        """By how much what is started moves what follows: whole days, if it has an hour."""
        assert self.begun is not None
        late = self.begun.at - self.begun.planned
        if self.step.when_late != "reanchor" or late <= self.step.late_after_days * DAY:
            return timedelta()
        if self.step.at is None:
            return late
        return self.begun.at.astimezone(zone).date() - self.begun.planned.astimezone(zone).date()

    def over(self, state: str, rule: str, now: datetime, zone: ZoneInfo | None = None) -> None:
        """Its present send is; on to the next one. `zone`: that it was sent by."""
        self.write(state, rule, now)
        if self.begun:
            by = timedelta() if self.moved else self.late_by(zone or self.zone)
            self.shift += by
            if state in ("sent", "unknown"):
                # What moves all that follows it is planned for when it went, by as much.
                self.last = Went(self.begun.at, self.begun.planned + by)
        self.stop()
        self.unschedule()
        if self.end is None:
            self.number += 1
            if self.number == self.plan.length:
                self.stop_for_good("completed", now)
            elif not self.held:
                self.schedule_it()
