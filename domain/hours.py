"""Hours of the day in which something is allowed, at one place or at several at once."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from domain.calendar import NO_HOLIDAYS, Calendar
from domain.opening import opening
from domain.window import Weekday, Window

HORIZON = timedelta(days=400)
"""As far ahead as an allowed moment is looked for: every weekday, holiday and clock of a year."""

_SOON = timedelta(days=8)


@dataclass(frozen=True, eq=False)
class Hours:
    """The windows of a day, any of which allows it, to the minute. Told apart by identity."""

    windows: tuple[Window, ...]
    calendar: Calendar = NO_HOLIDAYS
    """On whose holidays nothing is allowed."""


def window(
    opens: time, until: time | None, weekdays: frozenset[Weekday] = frozenset(Weekday)
) -> Window:
    """One window, by its fields' names here."""
    return Window.model_validate({"from": opens, "until": until, "weekdays": weekdays})


def first_allowed(hours: Hours, zones: tuple[ZoneInfo, ...], at: datetime) -> datetime | None:
    """The first moment from `at` on that lies in the hours in every zone; None: there is none."""
    minute = minute_of(at)
    opens = _first_allowed(hours, zones, minute)
    return at if opens == minute else opens


@lru_cache(maxsize=256)
def minute_of(at: datetime) -> datetime:
    """The beginning of the minute: hours and clocks change on whole ones, so it answers for all."""
    return at.replace(second=0, microsecond=0)


@lru_cache(maxsize=16_384)
def _first_allowed(hours: Hours, zones: tuple[ZoneInfo, ...], at: datetime) -> datetime | None:
    soon = _search(hours, zones, at, at + _SOON)
    return soon if soon is not None else _later(hours, zones, (at + _SOON).date())


@lru_cache(maxsize=1024)
def _later(hours: Hours, zones: tuple[ZoneInfo, ...], day: date) -> datetime | None:
    # Places on opposite sides of the world: looked for once a day, for it is a long way.
    first = datetime.combine(day, time(0), UTC)
    return _search(hours, zones, first, first + HORIZON)


def _search(
    hours: Hours, zones: tuple[ZoneInfo, ...], at: datetime, until: datetime
) -> datetime | None:
    while at <= until:
        later = max(_opens(hours, at, zone) for zone in zones)
        if later == at:
            return at
        at = later
    return None


def _opens(hours: Hours, at: datetime, zone: ZoneInfo) -> datetime:
    return min(opening(each, at, zone, hours.calendar) for each in hours.windows)
