"""Wall time, and the hours in which something is allowed, looked for by quarters of an hour.

All hours here, and all changes of clocks, are on quarters; so nothing is missed between two.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from functools import cache
from heapq import merge
from itertools import chain, pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

QUARTER = timedelta(minutes=15)
FURTHEST_EAST = timedelta(hours=15)
NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = timedelta(days=1)
SOON, FORTNIGHT, AT_MOST = 40 * DAY, 14 * DAY, 400 * DAY


class Window(NamedTuple):
    """`until` is not part of it; None is midnight."""

    weekdays: tuple[str, ...] = NAMES
    opens: time = time()
    until: time | None = None

    def allows(self, local: datetime) -> bool:
        return (
            NAMES[local.weekday()] in self.weekdays
            and local.time() >= self.opens
            and (self.until is None or local.time() < self.until)
        )

    def as_json(self) -> dict[str, Any]:
        until = f"{self.until:%H:%M}" if self.until else "24:00"
        return {"weekdays": list(self.weekdays), "from": f"{self.opens:%H:%M}", "until": until}


ALWAYS = Window()


@cache
def shown(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which a clock there shows this, or more.

    In a gap that is its end; in a fold the first of the two.
    """
    at = wall.replace(tzinfo=UTC) - FURTHEST_EAST
    while at.astimezone(zone).replace(tzinfo=None) < wall:
        at += QUARTER
    return at


def first(
    at: datetime,
    allowed: Callable[[datetime], bool],
    also: Iterable[datetime] = (),
    places: Iterable[ZoneInfo] = (),
) -> datetime | None:
    """The first allowed moment from `at` on: that itself, a quarter, or one of `also`.

    None: never. What does not come soon comes only after some place has set its clock.
    """
    soon = merge(_quarters(at, SOON), sorted(one for one in also if one > at))
    much_later = (_quarters(day, FORTNIGHT) for day in _clocks_are_set(at, places))
    every = chain([at], soon, chain.from_iterable(much_later))
    return next((one for one in every if allowed(one)), None)


def _quarters(at: datetime, span: timedelta) -> Iterator[datetime]:
    quarter = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
    while quarter < at + span:
        quarter += QUARTER
        yield quarter


def _clocks_are_set(at: datetime, places: Iterable[ZoneInfo]) -> Iterator[datetime]:
    """The days on which they are."""
    days = [at + n * DAY for n in range(SOON.days, AT_MOST.days)]
    offsets = [[day.astimezone(place).utcoffset() for place in places] for day in days]
    each = pairwise(zip(days, offsets, strict=True))
    return (day for (day, before), (_, then) in each if before != then)
