"""What a schedule comes to for one customer, and why a send is when it is."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from domain.calendar import Calendar
from domain.opening import is_open_on, moment
from domain.planning import Anchor, alone, counted_from, due_at, wall_of
from domain.schedule import Schedule


class Previewed(NamedTuple):
    """A send as the schedule plans it; notes say what is not plain from the file."""

    cursor: int
    at: datetime
    notes: tuple[str, ...]


def preview(
    schedule: Schedule, anchor: Anchor, zone: ZoneInfo, calendar: Calendar, until: datetime
) -> Iterator[Previewed]:
    """The sends of a run that begins at an anchor, until a moment."""
    before: datetime | None = None
    for cursor in range(schedule.length):
        at = due_at(schedule, cursor, anchor, zone, calendar)
        if at > until:
            return
        notes = (
            *_moved(schedule, cursor, anchor, zone, calendar),
            *_after_another(schedule, cursor, anchor, zone, calendar),
            *_clocks(before, at, zone),
        )
        yield Previewed(cursor, at, notes)
        before = at


def _moved(
    schedule: Schedule, cursor: int, anchor: Anchor, zone: ZoneInfo, calendar: Calendar
) -> Iterator[str]:
    """What closed days, hours and clocks do to the moment that the schedule says."""
    if schedule.step_at(cursor).at is None:
        counted = counted_from(schedule, cursor, anchor, zone)
        wall = counted.astimezone(zone).replace(tzinfo=None)
        if alone(schedule, cursor, anchor, zone, calendar) != counted:
            closed = _closed(schedule, wall.date(), calendar)
            yield f"moved from {closed or f'{wall:%a %H:%M}, when the window is closed'}"
        return
    first = anchor.astimezone(zone).date() if isinstance(anchor, datetime) else anchor
    wall = wall_of(schedule, cursor, first, calendar)
    closed = _closed(schedule, wall.date(), calendar)
    if closed:
        yield f"moved from {closed}"
    own = alone(schedule, cursor, anchor, zone, calendar).astimezone(zone)
    day = own.date() if closed else wall.date()
    yield from _set_clocks(datetime.combine(day, wall.time()), zone)


def _closed(schedule: Schedule, day: date, calendar: Calendar) -> str | None:
    if is_open_on(schedule.window, day, calendar):
        return None
    return f"{day:%a %Y-%m-%d}, {'a holiday' if calendar.is_holiday(day) else 'a closed day'}"


def _set_clocks(wall: datetime, zone: ZoneInfo) -> Iterator[str]:
    if moment(wall, zone).astimezone(zone).replace(tzinfo=None) != wall:
        yield f"DST gap: {wall:%H:%M} does not exist that day"
    elif wall.replace(tzinfo=zone).utcoffset() != wall.replace(tzinfo=zone, fold=1).utcoffset():
        yield f"DST fold: {wall:%H:%M} comes twice that day, and the first counts"


def _after_another(
    schedule: Schedule, cursor: int, anchor: Anchor, zone: ZoneInfo, calendar: Calendar
) -> Iterator[str]:
    own = alone(schedule, cursor, anchor, zone, calendar)
    if due_at(schedule, cursor, anchor, zone, calendar) > own:
        would_be = f"{own.astimezone(zone):%a %m-%d %H:%M}"
        yield f"waits for the send before it, else it would be {would_be}"


def _clocks(before: datetime | None, at: datetime, zone: ZoneInfo) -> Iterator[str]:
    """Whether the clocks were set since the send before: the same hour is another one in UTC."""
    offset = at.astimezone(zone).utcoffset()
    if before is not None and offset != before.astimezone(zone).utcoffset():
        yield f"the clocks have changed: UTC{at.astimezone(zone):%z}"


def anchor_in_words(anchor: Anchor) -> str:
    """What a run counts from."""
    if isinstance(anchor, datetime):
        return f"an assignment at {anchor.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"a due date of {anchor}"
