"""Where a customer may be: every zone that the record points to."""

from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number
from phonenumbers.tzdata import TIMEZONE_DATA

from domain.country_zones import zones_of_country
from domain.zones import zone_named

_TELLING = 9
"""Characters of a number in E.164 that tell where it is: as far as its prefixes and types go."""


def places(zone: str | None, phone: str | None, country: str | None) -> tuple[ZoneInfo, ...]:
    """All zones in which the customer may be; none if the record says nothing.

    The zone that is recorded counts, and so do those of the number and of the country, unless the
    recorded one is among them: then they say the same, less exactly. A number that is of no place
    (a mobile one in most countries, one free of charge) says as much as its calling code does.
    """
    if phone is None:
        return _places(zone, None, 0, country)
    return _places(zone, phone[:_TELLING], len(phone), country)


@lru_cache(maxsize=65_536)
def _places(
    zone: str | None, begins: str | None, length: int, country: str | None
) -> tuple[ZoneInfo, ...]:
    found = {zone} if zone is not None else set()
    # Numbers that begin alike are alike, so that one answers for all of them.
    number = () if begins is None else _zones_of_number(begins.ljust(length, "0"))
    for hinted in (number, zones_of_country(country)):
        if zone not in hinted:
            found.update(hinted)
    return tuple(one for name in sorted(found) if (one := _known(name)) is not None)


def _zones_of_number(number: str) -> tuple[str, ...]:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ()
    zones = tuple(time_zones_for_number(parsed))
    if zones != (UNKNOWN_TIMEZONE,):
        return zones
    return tuple(TIMEZONE_DATA.get(str(parsed.country_code), ()))


def _known(name: str) -> ZoneInfo | None:
    # libphonenumber's data and the machine's may be of different years.
    try:
        return zone_named(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None
