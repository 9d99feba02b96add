"""When a step is due: wall time in the customer's zone, never in a window's closed hours."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from domain.calendar import NO_HOLIDAYS, Calendar, Holidays, calendar_of
from domain.opening import moment, open_day, opening
from domain.repeat import Repeat, Repeated
from domain.schedule import Schedule
from domain.step import Step
from domain.times import later
from domain.zones import zone_named

Anchor = date | datetime
"""A calendar day (`due_date`) or an aware moment (`assigned_at`)."""


def due_at(
    schedule: Schedule,
    cursor: int,
    anchor: Anchor,
    zone: ZoneInfo,
    calendar: Calendar = NO_HOLIDAYS,
) -> datetime:
    """The moment, in UTC, at which a send of an enrolment is due: never before an earlier one."""
    first = anchor.astimezone(zone).date() if isinstance(anchor, datetime) else anchor
    if schedule.by_days:
        return _latest(schedule, cursor, first, zone, calendar)
    return max(alone(schedule, each, anchor, zone, calendar) for each in _up_to(schedule, cursor))


def alone(
    schedule: Schedule, cursor: int, anchor: Anchor, zone: ZoneInfo, calendar: Calendar
) -> datetime:
    """When a send would be due if there were none before it."""
    if schedule.step_at(cursor).at is None:
        return _moment_of(schedule, cursor, anchor, zone, calendar)
    first = anchor.astimezone(zone).date() if isinstance(anchor, datetime) else anchor
    return _hour_of(schedule, cursor, first, zone, calendar)


@lru_cache(maxsize=65_536)
def _latest(
    schedule: Schedule, cursor: int, first: date, zone: ZoneInfo, calendar: Calendar
) -> datetime:
    """The same where every step has a time of day: many customers share a day, few a moment."""
    return max(_hour_of(schedule, each, first, zone, calendar) for each in _up_to(schedule, cursor))


def _up_to(schedule: Schedule, cursor: int) -> Iterable[int]:
    """The latest turn of each step, as far as that goes; the turns before them are no later.

    Closed days can put two steps to one, business days can overtake days of the calendar, and a
    round the one before it: then what comes later waits.
    """
    if schedule.in_order:
        return (cursor,)
    if schedule.repeat is not None and schedule.repeat.of is Repeated.ALL:
        return range(max(0, cursor - len(schedule.steps) + 1), cursor + 1)
    return (*range(min(cursor, len(schedule.steps) - 1)), cursor)


@lru_cache(maxsize=65_536)
def _hour_of(
    schedule: Schedule, cursor: int, first: date, zone: ZoneInfo, calendar: Calendar
) -> datetime:
    """When a step with a time of day is due, if it were alone."""
    wall = wall_of(schedule, cursor, first, calendar)
    day = open_day(schedule.window, wall.date(), calendar)
    # A gap can move it past the window's end, or to another day.
    at = moment(datetime.combine(day, wall.time()), zone)
    return opening(schedule.window, at, zone, calendar)


def wall_of(schedule: Schedule, cursor: int, first: date, calendar: Calendar) -> datetime:
    """What the schedule says of a step with a time of day, whatever is closed then."""
    round_, number = schedule.turn(cursor)
    step, repeat = schedule.steps[number], schedule.repeat
    assert step.at is not None, "it has a time of day"
    if repeat is not None and repeat.of is Repeated.ALL:
        first = later(first, repeat.interval, round_)
    day = _day_of(step, first, calendar)
    if repeat is not None and repeat.of is Repeated.LAST:
        day = later(day, repeat.interval, round_)
    return datetime.combine(day, step.at)


def _day_of(step: Step, first: date, calendar: Calendar) -> date:
    if step.offset is not None:
        return first + step.offset
    assert step.business_days is not None, "it has one of them"
    return calendar.business_days_after(first, step.business_days)


def _moment_of(
    schedule: Schedule, cursor: int, anchor: Anchor, zone: ZoneInfo, calendar: Calendar
) -> datetime:
    """When a step that counts from a moment is due, if it were alone."""
    return opening(schedule.window, counted_from(schedule, cursor, anchor, zone), zone, calendar)


def counted_from(schedule: Schedule, cursor: int, anchor: Anchor, zone: ZoneInfo) -> datetime:
    """What the schedule says of a step without a time of day, whatever is closed then."""
    round_, number = schedule.turn(cursor)
    step, repeat = schedule.steps[number], schedule.repeat
    if not isinstance(anchor, datetime):
        raise TypeError("a step without a time of day needs a moment as its anchor")
    assert step.offset is not None, "business days have a time of day"
    if repeat is None:
        return anchor + step.offset
    if repeat.of is Repeated.ALL:
        return _rounds_after(anchor, repeat, round_, zone) + step.offset
    return _rounds_after(anchor + step.offset, repeat, round_, zone)


def _rounds_after(at: datetime, repeat: Repeat, rounds: int, zone: ZoneInfo) -> datetime:
    if not repeat.interval.months:
        return at + repeat.interval.span * rounds
    # A month later is the same hour on the customer's wall.
    wall = at.astimezone(zone).replace(tzinfo=None)
    return moment(later(wall, repeat.interval, rounds), zone)


def anchor_of(schedule: Schedule, cursor: int, anchor: Anchor) -> Anchor:
    """What a send counts from: the next due date, where a repeat goes from one to the next."""
    if schedule.repeat is None or schedule.repeat.of is Repeated.LAST:
        return anchor
    return later(anchor, schedule.repeat.interval, schedule.turn(cursor).round)


def shifted(anchor: Anchor, shift_seconds: int) -> Anchor:
    """The anchor of a run that a late step has moved (`when_late: reanchor`)."""
    return anchor + timedelta(seconds=shift_seconds) if shift_seconds else anchor


MOST_SHIFT = int(timedelta(days=24_000).total_seconds())
"""As far as late steps move a run, in seconds: a due date of 1926 was meant to be another one, and
the database keeps no more."""


def shift_of(
    step: Step, planned_at: datetime, now: datetime, zone: ZoneInfo, shift_seconds: int
) -> int:
    """By how much a step that is sent now moves the ones after it, in seconds; 0: it is in time.

    Whole days of the customer's for a step with a time of day: the others keep theirs.
    `shift_seconds`: what late steps before it have moved it by.
    """
    if not step.reanchors(now - planned_at):
        return 0
    late = -((planned_at - now) // timedelta(seconds=1))
    if step.at is not None:
        days = now.astimezone(zone).date() - planned_at.astimezone(zone).date()
        late = int(days.total_seconds())
    return min(late, MOST_SHIFT - shift_seconds)


def zone_of(customer: str | None, schedule: Schedule, account: str) -> ZoneInfo:
    """Whose clock counts: the customer's own, else the schedule's, else the account's."""
    return zone_named(customer or schedule.zone or account)


@lru_cache(maxsize=4096)
def calendar_for(schedule: Schedule, account: Holidays | None) -> Calendar:
    """Whose holidays count: the schedule's own and the account's days, else the account's."""
    if schedule.holidays == "none":
        return NO_HOLIDAYS
    if schedule.holidays is None:
        return NO_HOLIDAYS if account is None else calendar_of(account)
    own = Holidays(days=account.days) if account is not None else Holidays()
    return calendar_of(schedule.holidays, own)
