"""Whole runs through the planner and the gate, round every change of every zone's clock.

One send for each step, in order, never in closed hours or on a holiday, the same each time; and
after an outage no burst.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from clock_changes import distinct_changes, wall_of
from hypothesis import given
from hypothesis import strategies as st

from domain import planning
from domain.calendar import Calendar
from domain.decision import Defer, Facts, Send, Skip
from domain.gate import decide
from domain.planning import Anchor, calendar_for, due_at, shift_of, shifted
from domain.schedule import Schedule
from domain.window import Weekday
from domain.zones import zone_named

DAY = timedelta(days=1)
STEP: dict[str, Any] = {"channel": "email", "template": "t", "late_after": "P1D"}


def schedule(*steps: dict[str, Any], **fields: Any) -> Schedule:
    return Schedule.model_validate(
        {"anchor": "due_date", "steps": [{**STEP, **step} for step in steps], **fields}
    )


def days(*offsets: int, at: str = "02:30", **more: Any) -> list[dict[str, Any]]:
    return [{"offset": f"P{n}D" if n >= 0 else f"-P{-n}D", "at": at, **more} for n in offsets]


SCHEDULES = {
    "in the gap": schedule(*days(-1, 0, 1)),
    "at midnight": schedule(*days(-1, 0, 1, at="00:00"), window={"until": "00:30"}),
    "narrow": schedule(
        *days(-1, 0, 1), *days(2, at="02:45"), window={"from": "02:15", "until": "03:00"}
    ),
    "weekdays": schedule(*days(-2, -1, 0, 1, at="01:30"), window={"weekdays": ["mon", "wed"]}),
    "business days": schedule(
        {"business_days": -2, "at": "23:30"},
        {"business_days": 0, "at": "00:15"},
        *days(2, at="01:00"),
        {"business_days": 3, "at": "01:30"},
        holidays={"country": "DE", "days": ["2024-03-29", "2026-03-30", "2029-10-29"]},
    ),
    "again": schedule(
        *days(-7, -6, at="02:15"), repeat={"every": "P1D", "times": 9}, holidays={"country": "US"}
    ),
    "all again": schedule(
        *days(-1, 0, 3, at="02:00"),
        repeat={"every": "P5D", "times": 2, "of": "all"},
        window={"weekdays": ["mon", "tue", "thu", "sat"]},
    ),
    "exact": schedule(
        {"offset": "PT0S"},
        {"offset": "PT12H"},
        {"offset": "P1D"},
        anchor="assigned_at",
        repeat={"every": "PT6H", "times": 4},
        window={"from": "01:15", "until": "22:00"},
    ),
    "moved by what is late": schedule(*days(-2, 0, 3, when_late="reanchor")),
}


def is_open(plan: Schedule, calendar: Calendar, wall: datetime) -> bool:
    """The rule itself, by the clock on the customer's wall."""
    window = plan.window
    return (
        list(Weekday)[wall.weekday()] in window.weekdays
        and window.opens <= wall.time()
        and (window.until is None or wall.time() < window.until)
        and not calendar.is_holiday(wall.date())
    )


def due(plan: Schedule, anchor: Anchor, zone: ZoneInfo) -> list[datetime]:
    calendar = calendar_for(plan, None)
    return [due_at(plan, cursor, anchor, zone, calendar) for cursor in range(plan.length)]


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_send_is_in_its_place_at_every_change_of_every_zone(name: str) -> None:
    plan = SCHEDULES[name]
    calendar = calendar_for(plan, None)
    for where, at in distinct_changes().values():
        zone = zone_named(where)
        anchor = at if plan.anchor == "assigned_at" else wall_of(at, zone).date()
        planned = due(plan, anchor, zone)
        assert planned == sorted(planned), (where, at)
        for moment in planned:
            assert is_open(plan, calendar, wall_of(moment, zone)), (where, at, moment)


def test_the_same_input_is_the_same_plan_whatever_is_kept_of_it() -> None:
    changes = list(distinct_changes().values())[::7]
    plan = SCHEDULES["all again"]
    zones = [(zone_named(name), at) for name, at in changes]
    first = [due(plan, wall_of(at, zone).date(), zone) for zone, at in zones]
    planning._latest.cache_clear()  # noqa: SLF001 - what is kept must not matter
    planning._hour_of.cache_clear()  # noqa: SLF001
    copy = Schedule.model_validate_json(plan.model_dump_json())
    assert first == [due(copy, wall_of(at, zone).date(), zone) for zone, at in zones]


class Sent(NamedTuple):
    cursor: int
    at: datetime | None
    """None: it was skipped."""


Outages = list[tuple[int, timedelta]]


def run(plan: Schedule, anchor: Anchor, zone: ZoneInfo, outages: Outages) -> list[Sent]:
    """From the first to the last, as delivery and settling do it; down for a while where said."""
    down, calendar = dict(outages), calendar_for(plan, None)
    now, shift, told = datetime(2000, 1, 1, tzinfo=UTC), 0, []
    for cursor in range(plan.length):
        planned = due_at(plan, cursor, shifted(anchor, shift), zone, calendar)
        now = max(now, planned) + down.get(cursor, timedelta(0))
        facts = Facts(
            now=now,
            due_at=planned,
            schedule=plan,
            step=plan.step_at(cursor),
            zone=zone,
            recipient="ann@example.org",
            template_exists=True,
            sender="billing@acme.example",
            calendar=calendar,
        )
        while isinstance(decision := decide(facts), Defer):
            assert decision.until > facts.now, "or it would come to the gate for ever"
            facts = facts._replace(now=decision.until)
        now = facts.now
        if isinstance(decision, Skip):
            told.append(Sent(cursor, None))
            continue
        assert decision == Send()
        shift += shift_of(facts.step, planned, now, zone, shift)
        told.append(Sent(cursor, now))
    return told


OUTAGES = st.lists(
    st.tuples(st.integers(0, 10), st.timedeltas(timedelta(0), timedelta(days=20))), max_size=3
)
CHANGES = st.deferred(lambda: st.sampled_from(sorted(distinct_changes().values())))


@given(st.sampled_from(sorted(SCHEDULES)), CHANGES, st.integers(-3, 3), OUTAGES)
def test_a_run_with_outages_has_one_outcome_for_each_step_and_sends_nothing_out_of_hours(
    name: str, change: tuple[str, datetime], off: int, outages: Outages
) -> None:
    plan, zone = SCHEDULES[name], zone_named(change[0])
    at = change[1] + off * DAY
    anchor = at if plan.anchor == "assigned_at" else wall_of(at, zone).date()
    told = run(plan, anchor, zone, outages)
    assert [one.cursor for one in told] == list(range(plan.length))
    sent = [one.at for one in told if one.at is not None]
    assert sent == sorted(sent)
    calendar = calendar_for(plan, None)
    assert all(is_open(plan, calendar, wall_of(moment, zone)) for moment in sent)
    assert told == run(plan, anchor, zone, outages)


@given(
    st.lists(st.integers(0, 40), min_size=2, max_size=6, unique=True).map(sorted),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    CHANGES,
    st.integers(-20, 3),
    OUTAGES,
)
def test_steps_that_reanchor_keep_their_distance_through_every_outage(
    offsets: list[int],
    at: time,
    change: tuple[str, datetime],
    off: int,
    outages: Outages,
) -> None:
    """By the customer's days, in which they are written: never nearer, so nothing bursts."""
    late = {"when_late": "reanchor", "late_after": "PT0S"}
    plan = schedule(*days(*offsets, at=f"{at:%H:%M}", **late))
    zone = zone_named(change[0])
    anchor: date = wall_of(change[1] + off * DAY, zone).date()
    told = run(plan, anchor, zone, outages)
    sent = [wall_of(one.at, zone).date() for one in told if one.at is not None]
    assert len(sent) == len(offsets)
    for number in range(1, len(sent)):
        wanted = timedelta(days=offsets[number] - offsets[number - 1])
        assert sent[number] - sent[number - 1] >= wanted
        if not any(cursor == number for cursor, _ in outages):
            assert sent[number] - sent[number - 1] == wanted
