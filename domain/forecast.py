"""What is to come for a customer, by the planner and the gate that decide when it does come.

Each of its runs goes on from its present send, business time moving from one due moment to the
next. Nothing else happens meanwhile: see ASSUMES.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from heapq import heappop, heappush
from typing import NamedTuple
from zoneinfo import ZoneInfo

from domain.calendar import Calendar
from domain.caps import Recent
from domain.decision import Decision, Defer, Divert, Facts, Skip
from domain.gate import NOT_YET, decide
from domain.message import Channel
from domain.planning import Anchor, due_at, shift_of, shifted
from domain.schedule import Schedule
from domain.step import Step

ASSUMES = (
    "Assumes that nothing else happens: no payment (so what is promised is not kept), no promise, "
    "dispute or reply, no command, no change of a text, a pause or a setting; and that each "
    "message is taken at its first attempt."
)
"""What nobody can know beforehand."""


class Outlook(StrEnum):
    """What becomes of a coming send."""

    SENT = "sent"
    SKIPPED = "skipped"
    """A rule says no."""
    PUT_OFF = "put_off"
    """By a rule, until somebody does something, or beyond what is looked at."""
    IN_PROGRESS = "in_progress"
    """It has started, and there is no word of it yet."""
    HELD = "held"
    """Nothing comes until it is released, by somebody or by a day that is over."""


class Next(NamedTuple):
    """The one pending send of a run."""

    channel: Channel
    planned_at: datetime
    due_at: datetime
    fallback: str | None = None
    """By its step's fallback: the rule that closed its own channel."""


class Started(NamedTuple):
    """A send in progress: when it was due by the schedule, and when it started."""

    channel: Channel
    planned_at: datetime
    business_at: datetime
    anchor_moved: bool = False
    """Since it started: then it moves nothing any more."""


class Run(NamedTuple):
    """A live enrolment as it stands: it has a send that is next, or one in progress, or is held."""

    enrolment: int
    schedule: Schedule
    cursor: int
    anchor: Anchor
    """As it was assigned, without what late steps have moved it by."""
    shift_seconds: int
    zone: ZoneInfo
    calendar: Calendar
    next: Next | None = None
    started: Started | None = None
    held: str | None = None
    held_until: datetime | None = None
    """When it goes on by itself; None: when somebody releases it."""
    reference: str = ""
    messaged_at: datetime | None = None
    """When its last message went out, or may have; and when that one was due by the schedule."""
    messaged_for: datetime | None = None

    @property
    def step(self) -> Step:
        return self.schedule.step_at(self.cursor)


class PutOff(NamedTuple):
    """How long a rule kept a send back."""

    rule: str
    since: datetime
    until: datetime


class Foreseen(NamedTuple):
    """A send that comes, or does not, and by which rule."""

    enrolment: int
    cursor: int
    outlook: Outlook
    at: datetime | None
    """When it is decided; of what is put off or held, until when. None: nobody knows."""
    planned_at: datetime | None
    channel: Channel
    template: str
    rule: str | None = None
    reason: str | None = None
    put_off: tuple[PutOff, ...] = ()
    fallback: str | None = None


Ask = Callable[[Run, Next, datetime], Facts]
"""What the gate would be asked of a run's next send at a moment."""


def foresee(runs: Iterable[Run], now: datetime, until: datetime, ask: Ask) -> list[Foreseen]:
    """What comes of all runs of one customer until a moment, in its order.

    All runs together: what one sends counts against the others' caps.
    """
    ahead = _Ahead(now, until, ask)
    for run in runs:
        ahead.begin(run)
    return ahead.through()


class _Ahead:
    """One customer's runs, each at its next send."""

    def __init__(self, now: datetime, until: datetime, ask: Ask) -> None:
        self._now = now
        self._until = until
        self._ask = ask
        self._foreseen: list[Foreseen] = []
        self._going: tuple[Recent, ...] = ()
        self._runs: dict[int, tuple[Run, tuple[PutOff, ...]]] = {}
        self._moments: list[tuple[datetime, str, datetime, int]] = []

    def begin(self, run: Run) -> None:
        """Take a run in as it stands."""
        if run.held is not None:
            self._note(run, Outlook.HELD, run.held_until, run.held)
            if run.held_until is not None and run.started is None:
                self._plan(run._replace(held=None), max(run.held_until, self._now))
        elif run.started is not None:
            at = run.started.business_at
            self._note(run, Outlook.IN_PROGRESS, at, channel=run.started.channel)
            moved = 0
            if not run.started.anchor_moved:
                moved = _moved_by(run, run.started.planned_at, at)
            self._go_on(_sent(run, at, run.started.planned_at, moved), self._now, moved)
        elif run.next is not None:
            self._wait(run, self._now, ())

    def through(self) -> list[Foreseen]:
        """From one due moment to the next, the earliest first.

        What is due at once on a channel is decided on in the order of a start's batch.
        """
        while self._moments:
            batch = [heappop(self._moments)]
            while self._moments and self._moments[0][:2] == batch[0][:2]:
                batch.append(heappop(self._moments))
            for at, *_, enrolment in batch:
                self._due(at, *self._runs.pop(enrolment))
        return self._foreseen

    def _due(self, at: datetime, run: Run, put_off: tuple[PutOff, ...]) -> None:
        assert run.next is not None, "it waits for its moment"
        if at <= self._until:
            self._decided(run, run.next, at, put_off, decide(self._facts(run, run.next, at)))
        elif put_off:
            self._note(run, Outlook.PUT_OFF, at, put_off[-1].rule, put_off=put_off)

    def _facts(self, run: Run, planned: Next, at: datetime) -> Facts:
        """As they will be by then, with what has gone out until then."""
        facts = self._ask(run, planned, at)
        return facts._replace(
            recent=facts.recent + self._going,
            messages=facts.messages + len(self._going),
            messaged_at=run.messaged_at,
            messaged_for=run.messaged_for,
        )

    def _decided(
        self, run: Run, planned: Next, at: datetime, put_off: tuple[PutOff, ...], found: Decision
    ) -> None:
        match found:
            case Defer(rule=rule) if rule in NOT_YET:
                self._note(run, Outlook.PUT_OFF, None, rule, put_off=put_off)
            case Defer():
                later = run._replace(next=planned._replace(due_at=found.until))
                self._wait(later, at, _one_more(put_off, PutOff(found.rule, at, found.until)))
            case Divert():
                other = planned._replace(channel=found.channel, fallback=found.rule)
                self._wait(run._replace(next=other), at, put_off)
            case Skip():
                self._note(run, Outlook.SKIPPED, at, found.rule, found.reason, put_off)
                self._go_on(run, at, 0)
            case _:
                self._note(run, Outlook.SENT, at, put_off=put_off)
                self._going += (Recent(at, planned.channel.value, run.reference),)
                moved = _moved_by(run, planned.planned_at, at)
                self._go_on(_sent(run, at, planned.planned_at, moved), at, moved)

    def _go_on(self, run: Run, now: datetime, moved: int) -> None:
        """To the send that follows, which counts from what this one moved by `moved` seconds."""
        cursor, shift = run.cursor + 1, run.shift_seconds + moved
        if cursor >= run.schedule.length:
            return
        self._plan(run._replace(cursor=cursor, shift_seconds=shift, started=None), now)

    def _plan(self, run: Run, now: datetime) -> None:
        """Its present step, for the moment that the schedule says; the gate says if it is late."""
        anchor = shifted(run.anchor, run.shift_seconds)
        at = due_at(run.schedule, run.cursor, anchor, run.zone, run.calendar)
        self._wait(run._replace(next=Next(run.step.channel, at, at)), now, ())

    def _wait(self, run: Run, now: datetime, put_off: tuple[PutOff, ...]) -> None:
        assert run.next is not None, "the caller has planned it"
        at = max(run.next.due_at, now)
        self._runs[run.enrolment] = (run, put_off)
        heappush(self._moments, (at, run.next.channel.value, run.next.planned_at, run.enrolment))

    def _note(
        self,
        run: Run,
        outlook: Outlook,
        at: datetime | None,
        rule: str | None = None,
        reason: str | None = None,
        put_off: tuple[PutOff, ...] = (),
        channel: Channel | None = None,
    ) -> None:
        by = run.next.channel if run.next is not None else channel or run.step.channel
        planned = run.next or run.started
        self._foreseen.append(
            Foreseen(
                run.enrolment,
                run.cursor,
                outlook,
                at,
                planned.planned_at if planned is not None else None,
                by,
                run.step.by(by).template,
                rule,
                reason,
                put_off,
                run.next.fallback if run.next is not None else None,
            )
        )


def _moved_by(run: Run, planned_at: datetime, at: datetime) -> int:
    return shift_of(run.step, planned_at, at, run.zone, run.shift_seconds)


def _sent(run: Run, at: datetime, planned_at: datetime, moved: int) -> Run:
    """With its last message; one that moves all that follows is planned for when it went."""
    return run._replace(messaged_at=at, messaged_for=planned_at + timedelta(seconds=moved))


def _one_more(before: tuple[PutOff, ...], latest: PutOff) -> tuple[PutOff, ...]:
    """A rule that puts off what it has put off already says so once."""
    if before and before[-1].rule == latest.rule and before[-1].until == latest.since:
        return (*before[:-1], before[-1]._replace(until=latest.until))
    return (*before, latest)
