"""From one version of a schedule to a newer one: where a run goes on, and what that changes.

What is done is not done again, and nothing is left out without saying so.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from domain.calendar import Calendar
from domain.planning import Anchor, due_at
from domain.schedule import Schedule


class PlannedBy(NamedTuple):
    """Whose clock and whose calendar count for a customer on a version."""

    zone: ZoneInfo
    calendar: Calendar


class Run(NamedTuple):
    """A customer's run through the older version, and what it is planned by there and then."""

    cursor: int
    """Of its next send; those before it are done."""
    anchor: Anchor
    """With what late steps have moved it by."""
    older: PlannedBy
    newer: PlannedBy


class Landing(NamedTuple):
    """Where a run goes on in the newer version."""

    cursor: int
    """Of its next send there; the newer version's length: nothing is left."""
    done: dict[int, int]
    """Which of the sends before it were done in the older one: {newer cursor: older cursor}."""
    follows: int | None
    """Where the send that was next comes in the newer version; None: it is dropped there."""


def landing(older: Schedule, newer: Schedule, run: Run) -> Landing:
    """Where a run through the older version goes on.

    A step is known again by its name; if it has none on one side, by when it is (offset or business
    days, hour) and its channel, the first such as the first; and with a repeat by its round too.
    The run goes on behind the last of its steps that the newer version has. If the last thing done
    has no counterpart there, then also behind all that would have come by then.
    """
    known = [_found(older, cursor, newer) for cursor in range(run.cursor)]
    done = {found: cursor for cursor, found in enumerate(known) if found is not None}
    cursor = max(done, default=-1) + 1
    if known and known[-1] is None:
        cursor = _behind(older, newer, run, cursor)
    follows = _found(older, run.cursor, newer)
    return Landing(cursor, done, follows if follows is not None and follows >= cursor else None)


def _found(older: Schedule, cursor: int, newer: Schedule) -> int | None:
    """The newer version's cursor for what an older one's points at; None: it isn't there."""
    round_, number = older.turn(cursor)
    step, steps = older.steps[number], _steps_of(newer)
    by_name = None if step.name is None else steps.get((round_, step.name))
    if by_name is not None:
        return by_name
    found = steps.get((round_, *_moments_of(older)[number]))
    if found is None or None not in (step.name, newer.step_at(found).name):
        return None  # two names are two steps, even at one moment
    return found


@lru_cache(maxsize=64)
def _steps_of(schedule: Schedule) -> dict[tuple[object, ...], int]:
    """Cursors by round and name, and by round and what tells a step without one."""
    steps: dict[tuple[object, ...], int] = {}
    for cursor in range(schedule.length):
        round_, number = schedule.turn(cursor)
        step = schedule.steps[number]
        steps[round_, *_moments_of(schedule)[number]] = cursor
        if step.name is not None:
            steps[round_, step.name] = cursor
    return steps


@lru_cache(maxsize=64)
def _moments_of(schedule: Schedule) -> list[tuple[object, ...]]:
    """Of each step: its moment, its channel, and how many such steps come before it."""
    seen: Counter[tuple[object, ...]] = Counter()
    told: list[tuple[object, ...]] = []
    for step in schedule.steps:
        by = (*step.moment, step.channel)
        told.append((*by, seen[by]))
        seen[by] += 1
    return told


def _behind(older: Schedule, newer: Schedule, run: Run, cursor: int) -> int:
    by = _due(older, run.cursor - 1, run.anchor, run.older)
    while cursor < newer.length and _due(newer, cursor, run.anchor, run.newer) <= by:
        cursor += 1
    return cursor


def _due(schedule: Schedule, cursor: int, anchor: Anchor, by: PlannedBy) -> datetime:
    return due_at(schedule, cursor, anchor, by.zone, by.calendar)


class Stays(StrEnum):
    """Why a customer's runs stay on the older version, all of them."""

    IN_PROGRESS = "in_progress"
    OTHER_ANCHOR = "other_anchor"
    NO_CONSENT = "no_consent"


class Diff(NamedTuple):
    """What a move to a newer version comes to, over all the runs that it would move."""

    moved: int = 0
    """Next sends that go on, at the moment that the newer version says."""
    retimed: int = 0
    """Of those: at another moment than before."""
    dropped: int = 0
    """Next sends whose step the newer version hasn't; the run goes on with what follows there."""
    ended: int = 0
    """Runs of which the newer version has nothing left."""
    in_progress: int = 0
    """Runs that stay, since a send of the customer's is in a worker's hands: to be moved by asking
    again."""
    other_anchor: int = 0
    """Runs that stay, since one of the customer's counts from what the newer version does not."""
    no_consent: int = 0
    """Runs that stay, since nothing of the newer version may be sent to the customer."""

    @property
    def in_words(self) -> str:
        """`412 sends move, 9 are dropped`, and what else there is to say."""
        moves, are = _number(self.moved, "send moves", "sends move"), _number(self.dropped, "is")
        said = [f"{moves}, {are} dropped"]
        if self.retimed:
            said.append(f"{self.retimed:,} of them to another moment")
        if self.dropped > self.ended:
            goes = _number(self.dropped - self.ended, "run goes", "runs go")
            said.append(f"{goes} on with what follows the dropped one")
        if self.ended:
            has = _number(
                self.ended, "run has nothing left and ends", "runs have nothing left and end"
            )
            said.append(has)
        if self.in_progress:
            said.append(f"{_number(self.in_progress, 'stays', 'stay')}, with a send in progress")
        if self.other_anchor:
            stays = _number(self.other_anchor, "stays", "stay")
            said.append(f"{stays}, counting from another anchor")
        if self.no_consent:
            stays = _number(self.no_consent, "stays", "stay")
            said.append(f"{stays}, of customers to whom nothing of it may be sent")
        return "; ".join(said)


def _number(number: int, one: str, more: str = "are") -> str:
    return f"{number:,} {one if number == 1 else more}"


class Change(NamedTuple):
    """What a move comes to for one run."""

    landing: Landing
    retimed: bool
    ends: bool


def change(older: Schedule, newer: Schedule, run: Run) -> Change:
    """Where a run lands, and whether its next send keeps its moment."""
    lands = landing(older, newer, run)
    ends = lands.cursor >= newer.length
    follows = lands.follows
    retimed = follows is not None and (
        _due(older, run.cursor, run.anchor, run.older)
        != _due(newer, follows, run.anchor, run.newer)
    )
    return Change(lands, retimed, ends)


def diff_of(changes: Iterable[Change], stays: Mapping[Stays, int] | None = None) -> Diff:
    """The sum of what a move comes to, and how many runs stay."""
    listed = list(changes)
    return Diff(
        moved=sum(one.landing.follows is not None for one in listed),
        retimed=sum(one.retimed for one in listed),
        dropped=sum(one.landing.follows is None for one in listed),
        ended=sum(one.ends for one in listed),
        **{why.value: number for why, number in (stays or {}).items()},
    )
