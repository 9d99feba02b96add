"""Time zones by name and country, from one set of data on every machine: the `tzdata` package."""

import re
from collections.abc import Iterator
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


def zones_of_country(country: str | None) -> tuple[str, ...]:
    """The names of all zones that a country (ISO 3166) lies in; none of one that is not known."""
    return _by_country().get(country, ()) if country is not None else ()


def all_zones() -> Iterator[tuple[str, str]]:
    """Every zone of every country, as (country, zone)."""
    for country, zones in _by_country().items():
        yield from ((country, zone) for zone in zones)


@cache
def _by_country() -> dict[str, tuple[str, ...]]:
    """As `zone.tab` of the IANA time zone database has it: country, coordinates, zone, remarks."""
    table: dict[str, list[str]] = {}
    for line in files("tzdata.zoneinfo").joinpath("zone.tab").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            country, _, zone, *_ = line.split("\t")
            table.setdefault(country, []).append(zone)
    return {country: tuple(sorted(zones)) for country, zones in table.items()}
