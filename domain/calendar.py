"""Holidays and business days: a country's or region's, and the days of one's own."""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cached_property, lru_cache
from typing import Annotated, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from domain.contact import Country

DAY = timedelta(days=1)
_SATURDAY = 5

Subdivision = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 -]{0,29}$")]


class Holidays(BaseModel):
    """Which days are none to do business on. Countries as the `holidays` library knows them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    country: Country | None = None
    subdivision: Subdivision | None = None
    """A state, province or region, as in ISO 3166-2 without the country: BY for Bavaria."""
    days: Annotated[tuple[date, ...], Field(max_length=1000)] = ()
    """Days of one's own."""

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        object.__setattr__(self, "days", tuple(sorted(set(self.days))))
        if self.country is None:
            if self.subdivision is not None:
                raise ValueError("has a subdivision without its country: give the country too")
            return self
        known = _country(self.country)
        if known is None:
            raise ValueError(
                "has a country whose holidays are not known: leave it out and list them in `days`"
            )
        if self.subdivision is not None and self.subdivision not in known:
            raise ValueError(
                f"has a subdivision that {self.country} has not: it has "
                f"{', '.join(sorted(known)) or 'none'}"
            )
        return self

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.country, self.subdivision, self.days))


def _country(country: str) -> frozenset[str] | None:
    """The subdivisions of a country; None: it is not known."""
    import holidays  # noqa: PLC0415 - 45 ms, which only those who have a calendar are to wait for

    found = getattr(holidays, country, None)
    return None if found is None else frozenset(found.subdivisions)


class _Year(NamedTuple):
    holidays: frozenset[date]
    workdays: frozenset[date]


@lru_cache(maxsize=4096)
def _year(country: str, subdivision: str | None, year: int) -> _Year:
    """Made whole and then kept: the library's own object fills itself, unguarded from threads."""
    import holidays  # noqa: PLC0415 - see _country

    # A holiday of one year can be observed in the other.
    known = holidays.country_holidays(
        country, subdiv=subdivision, years=range(year - 1, year + 2), expand=False
    )
    first = date(year, 1, 1)
    days = [first + n * DAY for n in range((date(year + 1, 1, 1) - first).days)]
    return _Year(
        frozenset(day for day in days if day in known),
        frozenset(day for day in days if known.is_working_day(day)),
    )


class Calendar:
    """Which days are holidays and which are business days; without any: Monday to Friday."""

    def __init__(self, *of: Holidays) -> None:
        self._own = frozenset(day for one in of for day in one.days)
        self._places = tuple(
            (one.country, one.subdivision) for one in of if one.country is not None
        )
        self.empty = not self._own and not self._places

    def is_holiday(self, day: date) -> bool:
        if self.empty:
            return False
        return day in self._own or any(day in _year(*at, day.year).holidays for at in self._places)

    def is_business_day(self, day: date) -> bool:
        if day in self._own:
            return False
        if not self._places:
            return day.weekday() < _SATURDAY
        return all(day in _year(*at, day.year).workdays for at in self._places)

    def business_days_after(self, day: date, number: int) -> date:
        """The so manieth business day after a day, or before it; 0: the day itself or the next."""
        if number == 0:
            day, number = day - DAY, 1
        step = DAY if number > 0 else -DAY
        found = self._business_days(day, step)
        for _ in range(abs(number)):
            day = next(found)
        return day

    def _business_days(self, day: date, step: timedelta) -> Iterator[date]:
        while True:
            day += step
            if self.is_business_day(day):
                yield day


NO_HOLIDAYS = Calendar()
calendar_of = lru_cache(maxsize=4096)(Calendar)
"""One object for the same holidays, so that plans can be kept by it."""
