"""When a step is due: wall time in the customer's zone, never in a window's closed hours."""

from datetime import UTC, date, datetime, time, timedelta
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
    day = anchor.astimezone(zone).date() if isinstance(anchor, datetime) else anchor
    day += wanted.offset
    while not _open_on(schedule.window, day):
        day += _DAY
    return moment(datetime.combine(day, wanted.at), zone)


def moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """A wall time as a moment in UTC.

    A time in a gap moves to the gap's end; of a fold the first one counts (PEP 495).
    """
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    return _gap_end(wall.replace(tzinfo=zone, fold=1).astimezone(UTC), first, zone)


def _gap_end(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    # Between the two readings of a wall time that does not exist lies the transition.
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
    if window == _ALWAYS:
        return at.astimezone(UTC)
    local = at.astimezone(zone)
    if _open_on(window, local.date()):
        if window.opens <= local.time() and not _closed_by(window, local.time()):
            return at.astimezone(UTC)
        if local.time() < window.opens:
            return moment(datetime.combine(local.date(), window.opens), zone)
    day = local.date() + _DAY
    while not _open_on(window, day):
        day += _DAY
    return moment(datetime.combine(day, window.opens), zone)


def _open_on(window: Window, day: date) -> bool:
    return _WEEKDAYS[day.weekday()] in window.weekdays


def _closed_by(window: Window, hour: time) -> bool:
    return window.until is not None and hour >= window.until


_ALWAYS = Window()


def zone_of(customer: str | None, schedule: Schedule, account: str) -> ZoneInfo:
    """Whose clock counts: the customer's own, else the schedule's, else the account's."""
    return zone_named(customer or schedule.zone or account)
