"""Where a run goes on in a newer version of its schedule."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from domain.calendar import NO_HOLIDAYS, Holidays, calendar_of
from domain.schedule import Schedule
from domain.versions import Diff, Landing, PlannedBy, Run, Stays, change, diff_of, landing
from domain.zones import zone_named

ANY_DAY = PlannedBy(zone_named("UTC"), NO_HOLIDAYS)
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def schedule(*steps: str, **fields: Any) -> Schedule:
    """Steps as `name@day`, `@day` or `name@day/sms`."""
    read = []
    for step in steps:
        name, _, rest = step.partition("@")
        day, _, channel = rest.partition("/")
        read.append(
            {
                **({"name": name} if name else {}),
                "offset": f"P{day}D",
                "channel": channel or "email",
                "template": "t",
            }
        )
    return Schedule.model_validate({"anchor": "assigned_at", "steps": read, **fields})


def at(cursor: int) -> Run:
    return Run(cursor, START, ANY_DAY, ANY_DAY)


ABC = schedule("a@0", "b@2", "c@4")
TWICE = schedule("@0", "@0/sms", "@0")


@pytest.mark.parametrize(
    ("older", "newer", "cursor", "lands"),
    [
        # Named: known again wherever they have been moved to.
        (ABC, schedule("a@0", "b@3", "c@9"), 1, Landing(1, {0: 0}, 1)),
        (ABC, schedule("a@0", "x@1", "b@2", "c@4"), 2, Landing(3, {0: 0, 2: 1}, 3)),
        (ABC, schedule("a@0", "x@1", "b@2", "c@4"), 1, Landing(1, {0: 0}, 2)),
        (ABC, schedule("a@0", "c@4"), 1, Landing(1, {0: 0}, None)),
        (ABC, schedule("a@0", "c@1", "b@2"), 2, Landing(3, {0: 0, 2: 1}, None)),
        (ABC, schedule("a@0", "b@2"), 2, Landing(2, {0: 0, 1: 1}, None)),
        (ABC, schedule("a@0"), 0, Landing(0, {}, 0)),
        # What was done last is gone: behind all that would have come by then.
        (ABC, schedule("a@0", "x@1", "y@2", "z@3"), 2, Landing(3, {0: 0}, None)),
        (ABC, schedule("x@1", "y@2"), 3 - 1, Landing(2, {}, None)),
        # Without names: by when they are, and the channel.
        (schedule("@0", "@2"), schedule("@0", "@1", "@2"), 1, Landing(1, {0: 0}, 2)),
        (schedule("@0", "@2"), schedule("@0/sms", "@2"), 1, Landing(1, {}, 1)),
        # Alike but for one between them: the first is the first, and the second is not done.
        *(
            (TWICE, TWICE.model_copy(update={"ends": frozenset()}), cursor, lands)
            for cursor, lands in (
                (1, Landing(1, {0: 0}, 1)),
                (2, Landing(2, {0: 0, 1: 1}, 2)),
            )
        ),
        # Names given later, or taken away; but two names are two steps.
        (schedule("@0", "@2"), schedule("a@0", "b@2"), 1, Landing(1, {0: 0}, 1)),
        (ABC, schedule("@0", "@2", "@4"), 2, Landing(2, {0: 0, 1: 1}, 2)),
        (ABC, schedule("x@0", "b@2"), 1, Landing(1, {}, 1)),
        # Rounds are steps of their own.
        (
            schedule("a@0", repeat={"every": "P1D", "times": 5}),
            schedule("a@0", repeat={"every": "P2D", "times": 2}),
            *(2, Landing(2, {0: 0, 1: 1}, 2)),
        ),
        (
            schedule("a@0", repeat={"every": "P1D", "times": 5}),
            schedule("a@0", "b@1"),
            *(3, Landing(2, {0: 0}, None)),
        ),
    ],
)
def test_a_run_goes_on_behind_the_last_of_what_is_done(
    older: Schedule, newer: Schedule, cursor: int, lands: Landing
) -> None:
    assert landing(older, newer, at(cursor)) == lands


def test_each_version_is_planned_by_its_own_calendar() -> None:
    """`x` was done on the 6th, a holiday of the newer version alone: `y` comes after it there."""
    holiday = ANY_DAY._replace(calendar=calendar_of(Holidays(days=(date(2026, 1, 6),))))
    older, newer = schedule("a@0", "x@1", "b@4"), schedule("a@0", "y@1", "b@4")
    run = at(2)._replace(newer=holiday)
    assert landing(older, newer, run) == Landing(1, {0: 0}, 2)
    assert change(older, older, at(1)._replace(newer=holiday)).retimed, "from the 6th to the 7th"


def test_a_version_that_only_says_it_otherwise_moves_everyone_to_where_they_are() -> None:
    for cursor in range(ABC.length):
        found = change(ABC, schedule("a@0", "b@2", "c@4", ends=[]), at(cursor))
        assert (found.landing.cursor, found.retimed, found.ends) == (cursor, False, False)


def test_the_diff_says_in_words_what_the_move_comes_to() -> None:
    newer = schedule("a@0", "b@3")
    runs = [at(0), at(1), at(2)]
    diff = diff_of((change(ABC, newer, run) for run in runs), {Stays.IN_PROGRESS: 4})
    assert diff == Diff(moved=2, retimed=1, dropped=1, ended=1, in_progress=4)
    assert diff.in_words == (
        "2 sends move, 1 is dropped; 1 of them to another moment; 1 run has nothing left and ends; "
        "4 stay, with a send in progress"
    )
