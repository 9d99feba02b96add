"""Every change of every zone's clock in 2024 to 2029, found by looking."""

import zoneinfo
from bisect import bisect
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from domain.zones import zone_named

QUARTER, WEEK = timedelta(minutes=15), timedelta(days=7)
ALL_ZONES = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})


def wall_of(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


def changes(zone: ZoneInfo, first: int, last: int) -> Iterator[datetime]:
    """The moments at which a zone's clock is set, to the quarter of an hour."""
    weeks = [datetime(first, 1, 1, tzinfo=UTC) + n * WEEK for n in range((last - first + 1) * 52)]
    offsets = [(week, week.astimezone(zone).utcoffset()) for week in weeks]
    for (before, old), (after, new) in pairwise(offsets):
        if old != new:
            yield change_between(before, after, zone)


def change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    old = before.astimezone(zone).utcoffset()
    quarters = [before + n * QUARTER for n in range((after - before) // QUARTER + 1)]
    return quarters[bisect(quarters, 0, key=lambda at: at.astimezone(zone).utcoffset() != old)]


@cache
def distinct_changes() -> dict[tuple[object, ...], tuple[str, datetime]]:
    """Of all zones in 2024 to 2029, one zone for each way its clock is set at each moment."""
    return {
        (at, (at - QUARTER).astimezone(zone).utcoffset(), at.astimezone(zone).utcoffset()): (
            name,
            at,
        )
        for name, zone in ((name, zone_named(name)) for name in ALL_ZONES)
        for at in changes(zone, 2024, 2029)
    }
