"""Why a send is when it is: closed days, holidays, clocks, and the send before it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain.calendar import NO_HOLIDAYS, Calendar, Holidays
from domain.planning import Anchor
from domain.preview import anchor_in_words, preview
from domain.schedule import Schedule

PARIS = ZoneInfo("Europe/Paris")
FRANCE = Calendar(Holidays(country="FR"))
WEEKDAYS = {"weekdays": ["mon", "tue", "wed", "thu", "fri"]}
FAR = datetime(2027, 1, 1, tzinfo=UTC)


def notes(
    *steps: dict[str, Any], anchor: Anchor, calendar: Calendar = NO_HOLIDAYS, **schedule: Any
) -> list[tuple[str, ...]]:
    by_day = not isinstance(anchor, datetime)
    read = Schedule.model_validate(
        {
            "anchor": "due_date" if by_day else "assigned_at",
            "steps": [{"channel": "email", "template": "hello", **step} for step in steps],
            **schedule,
        }
    )
    return [one.notes for one in preview(read, anchor, PARIS, calendar, FAR)]


@pytest.mark.parametrize(
    ("anchor", "at", "calendar", "said"),
    [
        (date(2026, 4, 4), "09:30", NO_HOLIDAYS, ("moved from Sat 2026-04-04, a closed day",)),
        (date(2026, 4, 6), "09:30", FRANCE, ("moved from Mon 2026-04-06, a holiday",)),
        (date(2026, 4, 7), "09:30", FRANCE, ()),
    ],
)
def test_closed_day_is_named(
    anchor: date, at: str, calendar: Calendar, said: tuple[str, ...]
) -> None:
    step = {"offset": "P0D", "at": at}
    assert notes(step, anchor=anchor, calendar=calendar, window=WEEKDAYS) == [said]


@pytest.mark.parametrize(
    ("anchor", "said"),
    [
        (date(2026, 3, 29), ("DST gap: 02:30 does not exist that day",)),
        (date(2026, 10, 25), ("DST fold: 02:30 comes twice that day, and the first counts",)),
        (date(2026, 6, 1), ()),
    ],
)
def test_hour_that_is_not_or_is_twice_is_named(anchor: date, said: tuple[str, ...]) -> None:
    assert notes({"offset": "P0D", "at": "02:30"}, anchor=anchor) == [said]


def test_changed_clock_is_told_once() -> None:
    steps = [{"offset": f"P{days}D", "at": "09:30"} for days in (0, 2, 4)]
    told = notes(*steps, anchor=date(2026, 3, 28))
    assert told == [(), ("the clocks have changed: UTC+0200",), ()]


def test_send_that_waits_for_the_one_before_it_says_so() -> None:
    """Saturday's evening moves to Monday, behind Monday's morning."""
    steps = [{"offset": "P0D", "at": "18:00"}, {"offset": "P2D", "at": "09:00"}]
    first, second = notes(*steps, anchor=date(2026, 6, 6), window=WEEKDAYS)
    assert first == ("moved from Sat 2026-06-06, a closed day",)
    assert second == ("waits for the send before it, else it would be Mon 06-08 09:00",)


def test_moment_in_a_closed_hour_says_from_when_it_moved() -> None:
    anchor = datetime(2026, 6, 2, 20, 0, tzinfo=UTC)
    window = {"from": "09:00", "until": "18:00"}
    told = notes({"offset": "PT1H"}, anchor=anchor, window=window)
    assert told == [("moved from Tue 23:00, when the window is closed",)]


def test_sends_after_the_last_moment_are_left_out() -> None:
    schedule = Schedule.model_validate(
        {
            "anchor": "due_date",
            "steps": [{"offset": "P0D", "at": "09:00", "channel": "sms", "template": "hello"}],
            "repeat": {"every": "P1D", "times": 100},
        }
    )
    first = datetime(2026, 6, 1, 7, 0, tzinfo=UTC)
    until = first + timedelta(days=6)
    assert len(list(preview(schedule, date(2026, 6, 1), PARIS, NO_HOLIDAYS, until))) == 7


def test_anchor_is_told_as_what_it_is() -> None:
    assert anchor_in_words(date(2026, 6, 1)) == "a due date of 2026-06-01"
    at = datetime(2026, 6, 1, 9, 30, tzinfo=PARIS)
    assert anchor_in_words(at) == "an assignment at 2026-06-01 07:30 UTC"
