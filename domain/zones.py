"""Time zones by name, from one set of data on every machine: the `tzdata` package."""

import re
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.resources import files
from zoneinfo import ZoneInfo


@cache
def calendar_data() -> str:
    """With which data this process plans: zones, holidays."""
    return f"tzdata {version('tzdata')}, holidays {version('holidays')}"


def is_older(theirs: str | None, ours: str) -> bool:
    """Whether plans made by their data are to be made anew by ours.

    Not the other way: while versions are exchanged, two processes must not undo each other's.
    """
    return theirs is None or _numbers(theirs) < _numbers(ours)


def _numbers(data: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", data)]


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo:
    """The zone, from the package that is locked; a machine's own files can be years older.

    Two hosts with other data would plan the same step at other moments. A name that only the
    machine has is read from there.
    """
    try:
        with files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as data:
            return ZoneInfo.from_file(data, key=name)
    except (OSError, ValueError):
        return ZoneInfo(name)
