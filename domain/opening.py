"""Wall time as moments: gaps, folds, windows and holidays."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from domain.calendar import DAY, NO_HOLIDAYS, Calendar
from domain.window import Weekday, Window

CLOSED_AT_MOST = 400
"""Days: a window that never opens for holidays (Sundays only, and all of them are) would keep a
send for ever; from then on the window alone counts."""

_WEEKDAYS = tuple(Weekday)


def is_open_on(window: Window, day: date, calendar: Calendar) -> bool:
    """Whether anything may be sent on a day of the customer's."""
    return _WEEKDAYS[day.weekday()] in window.weekdays and not calendar.is_holiday(day)


def open_day(window: Window, day: date, calendar: Calendar) -> date:
    """The day, or the next one that is open."""
    for later in range(CLOSED_AT_MOST):
        if is_open_on(window, day + later * DAY, calendar):
            return day + later * DAY
    return open_day(window, day, NO_HOLIDAYS)


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


def opening(
    window: Window, at: datetime, zone: ZoneInfo, calendar: Calendar = NO_HOLIDAYS
) -> datetime:
    """The first moment from `at` on that lies in the window and on no holiday, in UTC."""
    start = at = at.astimezone(UTC)
    if window.is_always and calendar.empty:
        return at
    while not _is_open(window, at.astimezone(zone), calendar):
        at = _next_chance(window, at, zone)
        if at - start > CLOSED_AT_MOST * DAY:
            return opening(window, start, zone)
    return at


def _is_open(window: Window, local: datetime, calendar: Calendar) -> bool:
    return (
        window.opens <= local.time()
        and (window.until is None or local.time() < window.until)
        and is_open_on(window, local.date(), calendar)
    )


def _next_chance(window: Window, at: datetime, zone: ZoneInfo) -> datetime:
    """When a closed window can open next: at its hour, or when the clock is set before that."""
    local = at.astimezone(zone)
    wall = local.replace(tzinfo=None)
    day = local.date() if local.time() < window.opens else local.date() + DAY
    hour = at + (datetime.combine(day, window.opens) - wall)
    if hour.astimezone(zone).utcoffset() == local.utcoffset():
        return hour
    return _transition(at, hour, zone)
