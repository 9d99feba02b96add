"""Where a customer may be: every zone that the record points to."""

from functools import lru_cache
from zoneinfo import ZoneInfo

import phonenumbers

from domain.whereabouts import zones_of_calling_code, zones_of_number
from domain.zones import zone_named, zones_of_country

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
    number = () if begins is None else _zones_of(begins.ljust(length, "0"))
    for hinted in (number, zones_of_country(country)):
        if zone not in hinted:
            found.update(hinted)
    return tuple(zone_named(name) for name in sorted(found))


def _zones_of(number: str) -> tuple[str, ...]:
    code = phonenumbers.parse(number).country_code
    return zones_of_number(number) or zones_of_calling_code(code or 0)
