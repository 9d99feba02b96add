"""When a step is due: against a slow, plain reference, in every zone, at every clock change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from clock_changes import ALL_ZONES, QUARTER, distinct_changes, wall_of
from hypothesis import example, given
from hypothesis import strategies as st

from domain.opening import moment, opening
from domain.planning import due_at, zone_of
from domain.schedule import Schedule
from domain.window import Weekday, Window
from domain.zones import zone_named

MINUTE = timedelta(minutes=1)
PARIS, APIA = ZoneInfo("Europe/Paris"), ZoneInfo("Pacific/Apia")


def is_open(window: Window, wall: datetime) -> bool:
    """The rule itself: by the clock on the customer's wall."""
    today = list(Weekday)[wall.weekday()] in window.weekdays
    return (
        today
        and window.opens <= wall.time()
        and (window.until is None or wall.time() < window.until)
    )


def slow_moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first minute at which the wall clock shows this time or has passed it."""
    at = wall.replace(tzinfo=UTC) - timedelta(hours=27)
    while wall_of(at, zone) < wall:
        far = wall - wall_of(at, zone) > timedelta(hours=26)
        at += timedelta(minutes=15) if far else MINUTE
    return at


def slow_opening(window: Window, at: datetime, zone: ZoneInfo) -> datetime:
    """Minute by minute until the window is open."""
    if is_open(window, wall_of(at, zone)):
        return at
    at = at.replace(second=0, microsecond=0)
    while not is_open(window, wall_of(at, zone)):
        at += MINUTE
    return at


def around(name: str, at: datetime) -> list[tuple[datetime, datetime]]:
    """Each quarter of an hour round a change, with its wall time."""
    zone = ZoneInfo(name)
    moments = [at + n * QUARTER for n in range(-20, 21)]
    return [(each, wall_of(each, zone)) for each in moments]


ODD_WINDOWS = [
    Window(),
    Window(opens=time(2, 15), until=time(2, 45)),
    Window(opens=time(0), until=time(0, 30)),
    Window(opens=time(0, 30), until=time(3)),
    Window(opens=time(1, 45), until=time(2, 15)),
    Window(opens=time(23, 45)),
    Window(weekdays=frozenset({Weekday.SUN})),
    Window(weekdays=frozenset({Weekday.SAT}), opens=time(23)),
]


def test_every_change_of_every_zone_is_looked_at() -> None:
    assert len(ALL_ZONES) > 400
    assert len(distinct_changes()) > 150


def test_a_wall_time_is_its_first_moment_or_the_gaps_end_at_every_change_of_every_zone() -> None:
    """DESIGN, section 2: in a gap it moves to the gap's end; in a fold the first counts."""
    for name, at in distinct_changes().values():
        table = around(name, at)
        wall = table[0][1]
        while wall <= table[-1][1]:
            first = next(each for each, shown in table if shown >= wall)
            assert moment(wall, ZoneInfo(name)) == first, (name, wall)
            wall += QUARTER


def test_a_window_opens_at_its_first_moment_at_every_change_of_every_zone() -> None:
    """Also where its hour lies in a gap, or comes twice."""
    for name, at in distinct_changes().values():
        table = around(name, at)
        for window in ODD_WINDOWS:
            opens = None
            for each, wall in reversed(table):
                opens = each if is_open(window, wall) else opens
                if opens is not None:
                    assert opening(window, each, ZoneInfo(name)) == opens, (name, each, window)


ZONES = st.sampled_from(ALL_ZONES).map(ZoneInfo)
FIRST, LAST = datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2037-01-01")
WALLS = st.datetimes(FIRST, LAST)
MOMENTS = st.datetimes(FIRST, LAST, timezones=st.just(UTC))
MINUTES = st.builds(time, st.integers(0, 23), st.integers(0, 59))
NEAR_CHANGES = st.builds(
    lambda change, minutes: (ZoneInfo(change[0]), change[1] + timedelta(minutes=minutes)),
    st.deferred(lambda: st.sampled_from(sorted(distinct_changes().values()))),
    st.integers(-2000, 2000),
)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    opens, until = sorted(draw(st.lists(MINUTES, min_size=2, max_size=2, unique=True)))
    return Window(
        weekdays=draw(st.frozensets(st.sampled_from(Weekday), min_size=1)),
        opens=draw(st.sampled_from([time(0), opens])),
        until=draw(st.sampled_from([None, until])),
    )


@given(WALLS.map(lambda wall: wall.replace(second=0, microsecond=0)), ZONES)
@example(datetime.fromisoformat("2011-12-30T10:00"), APIA)
@example(datetime.fromisoformat("1993-08-21T10:00"), ZoneInfo("Pacific/Kwajalein"))
@example(datetime.fromisoformat("2026-03-29T02:30"), PARIS)
@example(datetime.fromisoformat("2026-10-25T02:30"), PARIS)
def test_moment_is_what_a_minute_by_minute_scan_finds(wall: datetime, zone: ZoneInfo) -> None:
    found = moment(wall, zone)
    assert found == slow_moment(wall, zone)
    assert found.tzinfo is UTC


@given(windows(), st.tuples(ZONES, MOMENTS) | NEAR_CHANGES)
@example(Window(opens=time(9)), (APIA, datetime(2011, 12, 30, 9, 30, tzinfo=UTC)))
@example(
    Window(opens=time(2, 30), until=time(3)), (PARIS, datetime(2026, 10, 25, 1, 15, tzinfo=UTC))
)
@example(
    Window(opens=time(1), until=time(2, 30)), (PARIS, datetime(2026, 10, 25, 0, 45, tzinfo=UTC))
)
@example(
    Window(opens=time(2, 15), until=time(2, 45)), (PARIS, datetime(2026, 3, 29, 0, 0, tzinfo=UTC))
)
def test_opening_is_what_a_minute_by_minute_scan_finds(
    window: Window, where: tuple[ZoneInfo, datetime]
) -> None:
    """From `at` on, in the window, and the first such moment: asked again, it answers the same."""
    zone, at = where
    opens = opening(window, at, zone)
    assert opens >= at
    assert is_open(window, wall_of(opens, zone))
    assert opening(window, opens, zone) == opens
    assert opens == slow_opening(window, at, zone)
    assert opens.tzinfo is UTC


STEP = {"channel": "email", "template": "hello"}


@st.composite
def dated(draw: st.DrawFn) -> Schedule:
    """Schedules whose steps have a time of day within the window, in order."""
    window = draw(windows())
    latest = window.until or time(23, 59)
    hours = MINUTES.filter(lambda at: window.opens <= at < latest)
    days = sorted(draw(st.lists(st.integers(-40, 40), min_size=1, max_size=6)))
    planned = sorted({(day, draw(hours | st.just(window.opens))) for day in days})
    steps = [{**STEP, "offset": timedelta(days=day), "at": at} for day, at in planned]
    return Schedule.model_validate({"anchor": "due_date", "steps": steps, "window": window})


DATES = st.dates(date(1990, 3, 1), date(2036, 1, 1))


@given(dated(), DATES, ZONES)
@example(
    Schedule.model_validate(
        {
            "anchor": "due_date",
            "steps": [{**STEP, "offset": "P0D", "at": "10:00"}],
            "window": {"from": "09:00", "until": "18:00"},
        }
    ),
    date(2011, 12, 30),
    APIA,
)
@example(
    Schedule.model_validate(
        {
            "anchor": "due_date",
            "steps": [
                {**STEP, "offset": "P0D", "at": "18:00"},
                {**STEP, "offset": "P1D", "at": "09:00"},
            ],
            "window": {"weekdays": ["mon"]},
        }
    ),
    date(2026, 1, 3),
    PARIS,
)
def test_dated_steps_are_due_in_the_window_and_in_their_order(
    schedule: Schedule, anchor: date, zone: ZoneInfo
) -> None:
    """Whatever gaps, folds and closed days do: never earlier than planned, never out of hours."""
    due = [due_at(schedule, step, anchor, zone) for step in range(len(schedule.steps))]
    assert due == sorted(due)
    put_off = False  # the steps after one that is put off may have to wait for it
    for at, step in zip(due, schedule.steps, strict=True):
        assert is_open(schedule.window, wall_of(at, zone))
        assert step.at is not None
        assert step.offset is not None
        wanted = datetime.combine(anchor + step.offset, step.at)
        assert at >= moment(wanted, zone)
        put_off |= not is_open(schedule.window, wanted) or wall_of(at, zone).date() != wanted.date()
        if not put_off and wall_of(moment(wanted, zone), zone) == wanted:
            assert wall_of(at, zone) == wanted
    again = [due_at(schedule, step, anchor, zone) for step in range(len(schedule.steps))]
    assert again == due


@given(windows(), st.lists(st.integers(0, 10**6), min_size=1, max_size=5), MOMENTS, ZONES)
def test_steps_counted_from_a_moment_are_due_at_the_next_opening(
    window: Window, seconds: list[int], anchor: datetime, zone: ZoneInfo
) -> None:
    offsets = sorted({timedelta(seconds=each) for each in seconds})
    schedule = Schedule.model_validate(
        {
            "anchor": "assigned_at",
            "steps": [{**STEP, "offset": offset} for offset in offsets],
            "window": window,
        }
    )
    due = [due_at(schedule, step, anchor, zone) for step in range(len(offsets))]
    assert due == sorted(due)
    assert due == [opening(window, anchor + offset, zone) for offset in offsets]


WORKDAYS = {"weekdays": ["mon", "tue", "wed", "thu", "fri"]}


@pytest.mark.parametrize(
    ("anchor", "window", "offset", "hour", "due"),
    [
        (date(2026, 1, 5), {}, "P3D", "09:30", "2026-01-08T09:30+01:00"),
        (date(2026, 1, 5), {}, "-P2D", "09:30", "2026-01-03T09:30+01:00"),
        (date(2026, 1, 5), WORKDAYS, "-P2D", "09:30", "2026-01-05T09:30+01:00"),
        (date(2026, 3, 29), {}, "P0D", "02:30", "2026-03-29T03:00+02:00"),
        (date(2026, 10, 25), {}, "P0D", "02:30", "2026-10-25T02:30+02:00"),
        (
            date(2026, 3, 29),
            {"from": "02:00", "until": "03:00"},
            *("P0D", "02:30", "2026-03-30T02:00+02:00"),
        ),
    ],
)
def test_due_moment_in_paris(
    anchor: date, window: dict[str, object], offset: str, hour: str, due: str
) -> None:
    """The last one: a window that lies wholly in the gap does not open on that day."""
    step = {**STEP, "offset": offset, "at": hour}
    schedule = Schedule.model_validate({"anchor": "due_date", "steps": [step], "window": window})
    assert due_at(schedule, 0, anchor, PARIS) == datetime.fromisoformat(due)


def test_assignment_in_the_evening_counts_from_the_customers_own_day() -> None:
    """23:30 in UTC is the next day in Paris already."""
    schedule = Schedule.model_validate(
        {"anchor": "assigned_at", "steps": [{**STEP, "offset": "P1D", "at": "09:00"}]}
    )
    assigned = datetime(2026, 1, 5, 23, 30, tzinfo=UTC)
    assert due_at(schedule, 0, assigned, PARIS) == datetime(2026, 1, 7, 8, 0, tzinfo=UTC)
    assert due_at(schedule, 0, assigned, ZoneInfo("UTC")) == datetime(2026, 1, 6, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("customer", "of_schedule", "zone"),
    [
        ("Asia/Tokyo", "Europe/Paris", "Asia/Tokyo"),
        ("Asia/Tokyo", None, "Asia/Tokyo"),
        (None, "Europe/Paris", "Europe/Paris"),
        (None, None, "America/Lima"),
    ],
)
def test_customers_zone_counts_then_the_schedules_then_the_accounts(
    customer: str | None, of_schedule: str | None, zone: str
) -> None:
    schedule = Schedule.model_validate(
        {"anchor": "assigned_at", "steps": [{**STEP, "offset": "P1D"}], "zone": of_schedule}
    )
    assert zone_of(customer, schedule, "America/Lima") == zone_named(zone)
