"""The hours of collectors, and the laws of the numbers and countries here: docs/gate.md.

An hour of law ends a minute early.
"""

from collections.abc import Sequence
from datetime import datetime, time
from typing import NamedTuple
from zoneinfo import ZoneInfo

from stateful.plain.calendar import EVERY_DAY, Calendar
from stateful.plain.caps import Cap
from stateful.plain.hours import Window

UNTIL_EIGHT, UNTIL_NINE = time(19, 59), time(20, 59)
BUT_SUNDAYS = ("mon", "tue", "wed", "thu", "fri", "sat")


EVERY_KIND = ("marketing", "collection", "service")


class Hours(NamedTuple):
    """In each of several places at once."""

    windows: tuple[Window, ...]
    calendar: Calendar = EVERY_DAY

    def allow(self, at: datetime, places: Sequence[ZoneInfo]) -> bool:
        return all(
            any(window.allows(wall) for window in self.windows)
            and not self.calendar.closed(wall.date())
            for wall in (at.astimezone(place) for place in places)
        )


COLLECTOR = Hours((Window(opens=time(8), until=UNTIL_NINE),))


class Law(NamedTuple):
    """Of marketing texts, to numbers that begin so and to who is recorded in a country."""

    begins: str
    hours: Hours
    country: str | None = None
    caps: tuple[Cap, ...] = ()


LAWS = (
    Law("+1", Hours((Window(opens=time(8), until=UNTIL_NINE),)), "US"),
    Law("+1305", Hours((Window(opens=time(8), until=UNTIL_EIGHT),)), caps=(Cap(3, 24, "sms"),)),
    Law(
        "+1214",
        Hours(
            (
                Window(BUT_SUNDAYS, time(9), UNTIL_NINE),
                Window(("sun",), time(12), UNTIL_NINE),
            )
        ),
    ),
    Law("+33", Hours((Window(BUT_SUNDAYS, time(8), UNTIL_EIGHT),), Calendar("FR")), "FR"),
)
"""The United States, Florida (Miami), Texas (Dallas), France."""


def laws(
    kinds: tuple[str, ...], channel: str, number: str | None, country: str | None
) -> tuple[Law, ...]:
    """That a message is under. `kinds`: which the account says that it sends."""
    if channel != "sms" or "marketing" not in kinds:
        return ()
    return tuple(
        law
        for law in LAWS
        if (number or "").startswith(law.begins) or (country and country == law.country)
    )
