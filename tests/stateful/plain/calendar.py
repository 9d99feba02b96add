"""Holidays and business days, with the days written out: docs/schedules.md."""

from datetime import date
from typing import Any, NamedTuple

from stateful.plain.hours import DAY

SATURDAY = 5
OF_COUNTRY = {
    "MT": "2026-03-19 2026-03-31 2026-04-03 2026-05-01 2026-06-07 2026-06-29 2026-08-15",
    "DK": "2026-04-02 2026-04-03 2026-04-05 2026-04-06 2026-05-14 2026-05-24 2026-05-25",
    "FR": "2026-04-06 2026-05-01 2026-05-08 2026-05-14 2026-05-25 2026-07-14 2026-08-15",
}
"""From March to August of 2026. Malta and Denmark have Good Friday in common, and no more."""


class Calendar(NamedTuple):
    """A country's holidays, and days of one's own."""

    country: str | None = None
    days: frozenset[date] = frozenset()

    def closed(self, day: date) -> bool:
        return day in self.days or str(day) in OF_COUNTRY.get(self.country or "", "").split()

    def business(self, day: date) -> bool:
        return day.weekday() < SATURDAY and not self.closed(day)

    def business_days_after(self, day: date, number: int) -> date:
        """0 is the day itself, or the next business day."""
        if number == 0:
            day, number = day - DAY, 1
        left = abs(number)
        while left:
            day += DAY if number > 0 else -DAY
            left -= self.business(day)
        return day

    def as_json(self) -> dict[str, Any]:
        country = {"country": self.country} if self.country else {}
        return country | {"days": sorted(str(day) for day in self.days)}


EVERY_DAY = Calendar()
