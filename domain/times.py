"""Hours and spans of time, as people write them into a schedule."""

import re
from datetime import date, datetime, time, timedelta
from typing import Annotated, NamedTuple, TypeVar

from pydantic import BeforeValidator, StringConstraints, WithJsonSchema

D = TypeVar("D", date, datetime)

MONTHS_OF_A_YEAR = 12
_LAST_DAYS = (31, 30, 29, 28)


def _not_a_number(hint: str) -> BeforeValidator:
    # Pydantic takes 3 for three seconds, where a person means days.
    def check(given: object) -> object:
        if isinstance(given, (int, float)):
            raise ValueError(f"is a number: write {hint}")  # noqa: TRY004 - pydantic's way
        return given

    return BeforeValidator(check)


LocalTime = Annotated[
    time,
    _not_a_number('an hour in quotes, such as "09:30"'),
    WithJsonSchema({"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"}),
]
"""A time of day on the customer's wall."""

Span = Annotated[
    timedelta,
    _not_a_number("a duration, such as P3D or PT2H"),
    WithJsonSchema({"type": "string", "pattern": r"^[+-]?P(?=.)(\d+[YMWD])*(T(\d+[HMS])+)?$"}),
]
"""ISO 8601, with a sign before the P where it goes back."""

Period = Annotated[
    str, StringConstraints(pattern=r"^P([1-9]\d{0,3}[YMWD]|T[1-9]\d{0,3}H)$", strip_whitespace=True)
]
"""One unit of ISO 8601: P1M is a month of the calendar, however long, and P1Y a year."""


class Interval(NamedTuple):
    """A period as arithmetic: months of the calendar, or a span; one of them is nothing."""

    months: int
    span: timedelta


def interval(period: str) -> Interval:
    """What a period comes to."""
    number = int("".join(re.findall(r"\d", period)))
    match period[-1]:
        case "Y":
            return Interval(number * MONTHS_OF_A_YEAR, timedelta(0))
        case "M":
            return Interval(number, timedelta(0))
        case "W":
            return Interval(0, timedelta(weeks=number))
        case "D":
            return Interval(0, timedelta(days=number))
        case _:
            return Interval(0, timedelta(hours=number))


def later(day: D, by: Interval, times: int) -> D:
    """So many intervals after a day or a wall time, each counted from it.

    A day that a month doesn't have is the month's last: 31 January, 28 February, 31 March.
    """
    months = day.month - 1 + by.months * times
    year, month = day.year + months // MONTHS_OF_A_YEAR, months % MONTHS_OF_A_YEAR + 1
    for number in (day.day, *_LAST_DAYS):
        try:
            return day.replace(year=year, month=month, day=number) + by.span * times
        except ValueError:
            continue  # a shorter month
    raise AssertionError("every month has 28 days")
