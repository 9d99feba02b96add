"""Where a customer's clock is, when nobody has said: by the number, else by the country."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import phonenumbers
from phonenumbers import timezone
from phonenumbers.tzdata import TIMEZONE_DATA

from domain.zones import zone_named, zones_of_country

_LOOKED_AT = tuple(
    datetime(year, month, day, hour, tzinfo=UTC)
    for year in range(2024, 2038)
    for month in range(1, 13)
    for day in (1, 15)
    for hour in (0, 12)
)
"""Clocks that agree at all of these are one clock: whatever is due, is due at one moment."""


def derived_zone(phone: str | None, country: str | None) -> str | None:
    """The zone of a customer who has named none; None: it may be one of several.

    The number first (its area is where it is used more often than an address is true), then the
    country of the address; either only if all zones that it points to share one clock.
    """
    return _one_clock(zones_of_number(phone)) or _one_clock(zones_of_country(country))


@lru_cache(maxsize=65_536)
def zones_of_number(phone: str | None) -> tuple[str, ...]:
    """Every zone that a number in E.164 points to, in order of name; none: it points nowhere.

    By its country and area code, as libphonenumber knows them; a ported number may be elsewhere.
    """
    if phone is None:
        return ()
    zones = timezone.time_zones_for_number(phonenumbers.parse(phone))
    return tuple(sorted(zone for zone in zones if zone != timezone.UNKNOWN_TIMEZONE))


@lru_cache(maxsize=1024)
def zones_of_calling_code(code: int) -> tuple[str, ...]:
    """Every zone of the countries that share a calling code."""
    return tuple(TIMEZONE_DATA.get(str(code), ()))


def _one_clock(zones: tuple[str, ...]) -> str | None:
    if not zones or len(_clocks(zones)) > 1:
        return None
    return zones[0]


def _clocks(zones: Iterable[str]) -> set[tuple[timedelta, ...]]:
    return {_offsets(zone) for zone in zones}


@lru_cache(maxsize=1024)
def _offsets(name: str) -> tuple[timedelta, ...]:
    zone = zone_named(name)
    return tuple(
        at.astimezone(zone).replace(tzinfo=None) - at.replace(tzinfo=None) for at in _LOOKED_AT
    )
