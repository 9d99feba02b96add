"""When messages may start: weekdays and hours, in the customer's local time."""

from datetime import time
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_serializer,
    field_validator,
    model_validator,
)

from domain.times import LocalTime


class Weekday(StrEnum):
    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Window(BaseModel):
    """When messages may start, in the customer's local time; `until` is not part of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    weekdays: Annotated[frozenset[Weekday], Field(min_length=1)] = frozenset(Weekday)
    opens: LocalTime = Field(default=time(0), alias="from")
    until: LocalTime | None = None
    """None is midnight, 24:00."""

    @field_validator("until", mode="before")
    @classmethod
    def _midnight_is_none(cls, until: object) -> object:
        return None if until in ("24:00", "24:00:00") else until

    @cached_property
    def is_always(self) -> bool:
        """Whether it never closes."""
        return self == Window()

    @field_serializer("weekdays")
    def _in_order(self, weekdays: frozenset[Weekday]) -> list[Weekday]:
        # A set has another order in each process, and the same window must be the same JSON.
        return [weekday for weekday in Weekday if weekday in weekdays]

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Self:
        if self.opens.tzinfo is not None or (self.until is not None and self.until.tzinfo):
            raise ValueError("has an hour with an offset: hours are local, such as 09:30")
        if self.until is not None and self.opens >= self.until:
            raise ValueError(
                f"opens at {self.opens:%H:%M} and closes at {self.until:%H:%M}: it never opens. "
                "A window lies within one day, and ends at 24:00 at the latest"
            )
        return self
