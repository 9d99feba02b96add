"""A schedule that goes on: which of its steps come again, how often, for how long."""

from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.times import MONTHS_OF_A_YEAR, Interval, Period, interval

MOST_SENDS = 2_000
"""As many sends one run through a schedule comes to at most: more is a slip of the pen."""

FURTHEST_YEARS = 1_000
"""Between two rounds: beyond the year 9999 there are no dates."""
A_YEAR = timedelta(days=366)


class Repeated(StrEnum):
    """What comes again."""

    LAST = "last"
    """The last step, as dunning wants it: "then every week"."""
    ALL = "all"
    """Every step, counted from the next due date: a rent, a subscription, a check-up."""


class Repeat(BaseModel):
    """`every` period, so many `times` more, or as long as `until`; the shorter of the two."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: Period
    times: Annotated[int, Field(ge=1, le=MOST_SENDS)] | None = None
    """How often it comes again, after the first time."""
    until: Period | None = None
    """For how long it comes again, from the first time on."""
    of: Repeated = Repeated.LAST

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.times is None and self.until is None:
            raise ValueError(
                "never ends: give `times`, such as 6, or `until`, such as P90D, or both"
            )
        if self.until is not None and bool(self.interval.months) != bool(
            interval(self.until).months
        ):
            raise ValueError(
                "has months in one of `every` and `until` and days in the other: write both in "
                "months (or years), or both in days (or weeks, or hours)"
            )
        months, span = self.interval
        if months > FURTHEST_YEARS * MONTHS_OF_A_YEAR or span > FURTHEST_YEARS * A_YEAR:
            raise ValueError(
                f"comes again every {self.every}, and a thousand years is the limit: "
                "repeat sooner, or not at all"
            )
        if self.rounds == 0:
            raise ValueError("never comes again: `until` is shorter than `every`")
        return self

    @cached_property
    def interval(self) -> Interval:
        return interval(self.every)

    @cached_property
    def rounds(self) -> int:
        """How often it comes again."""
        counts = [] if self.times is None else [self.times]
        if self.until is not None:
            every, until = self.interval, interval(self.until)
            counts.append(
                until.months // every.months if every.months else until.span // every.span
            )
        return min(counts)
