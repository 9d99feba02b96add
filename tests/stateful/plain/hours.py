"""Wall time, and the hours in which something is allowed, looked for by quarters of an hour.

All hours here, and all changes of clocks, are on quarters; so nothing is missed between two.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from functools import cache
from heapq import merge
from itertools import chain
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

QUARTER = timedelta(minutes=15)
FURTHEST_EAST = timedelta(hours=15)
NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
AT_MOST = timedelta(days=60)


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
    at: datetime, allowed: Callable[[datetime], bool], also: Iterable[datetime] = ()
) -> datetime | None:
    """The first allowed moment from `at` on: that itself, a quarter, or one of `also`.

    None: never, for what is not within AT_MOST does not come again either.
    """
    later = merge(_quarters(at), sorted(one for one in also if one > at))
    return next((one for one in chain([at], later) if allowed(one)), None)


def _quarters(at: datetime) -> Iterator[datetime]:
    quarter = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
    while quarter < at + AT_MOST:
        quarter += QUARTER
        yield quarter
