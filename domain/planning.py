"""When a step is due: wall time in the customer's zone, never in a window's closed hours."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from domain.schedule import Schedule, Weekday, Window

Anchor = date | datetime
"""A calendar day (`due_date`) or an aware moment (`assigned_at`)."""

_DAY = timedelta(days=1)
_WEEKDAYS = tuple(Weekday)
zone_named = lru_cache(maxsize=1024)(ZoneInfo)


def due_at(schedule: Schedule, step: int, anchor: Anchor, zone: ZoneInfo) -> datetime:
    """The moment, in UTC, at which a step of an enrolment is due."""
    wanted = schedule.steps[step]
    if wanted.at is None:
        if not isinstance(anchor, datetime):
            raise TypeError("a step without a time of day needs a moment as its anchor")
        return opening(schedule.window, anchor + wanted.offset, zone)
    first = anchor.astimezone(zone).date() if isinstance(anchor, datetime) else anchor
    day = _open_day(schedule.window, first + wanted.offset)
    hour = wanted.at
    for before in reversed(schedule.steps[:step]):
        # Put off from closed days to the same open one, steps keep their order.
        if before.at is None or _open_day(schedule.window, first + before.offset) != day:
            break
        hour = max(hour, before.at)
    # A gap can move it past the window's end, or to another day.
    return opening(schedule.window, moment(datetime.combine(day, hour), zone), zone)


def _open_day(window: Window, day: date) -> date:
    while _WEEKDAYS[day.weekday()] not in window.weekdays:
        day += _DAY
    return day


def moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """A wall time as a moment in UTC.

    A time in a gap moves to the gap's end; of a fold the first one counts (PEP 495).
    """
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    # Between the two readings of a wall time that does not exist lies the transition.
    return _transition(wall.replace(tzinfo=zone, fold=1).astimezone(UTC), first, zone)


def _transition(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The moment between these two at which the zone's clock is set."""
    new_offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == new_offset:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)


def opening(window: Window, at: datetime, zone: ZoneInfo) -> datetime:
    """The first moment from `at` on that lies in the window, in UTC."""
    at = at.astimezone(UTC)
    while window != _ALWAYS and not _is_open(window, at.astimezone(zone)):
        at = _next_chance(window, at, zone)
    return at


def _is_open(window: Window, local: datetime) -> bool:
    return (
        _WEEKDAYS[local.weekday()] in window.weekdays
        and window.opens <= local.time()
        and (window.until is None or local.time() < window.until)
    )


def _next_chance(window: Window, at: datetime, zone: ZoneInfo) -> datetime:
    """When a closed window can open next: at its hour, or when the clock is set before that."""
    local = at.astimezone(zone)
    wall = local.replace(tzinfo=None)
    day = local.date() if local.time() < window.opens else local.date() + _DAY
    hour = at + (datetime.combine(day, window.opens) - wall)
    if hour.astimezone(zone).utcoffset() == local.utcoffset():
        return hour
    return _transition(at, hour, zone)


_ALWAYS = Window()


def zone_of(customer: str | None, schedule: Schedule, account: str) -> ZoneInfo:
    """Whose clock counts: the customer's own, else the schedule's, else the account's."""
    return zone_named(customer or schedule.zone or account)
