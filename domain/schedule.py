"""A schedule: what is sent, when, counted from what. A version of it never changes."""

from datetime import time, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_serializer,
    field_validator,
    model_validator,
)

from domain.contact import Zone
from domain.journey import Status
from domain.message import Channel
from domain.template import TemplateName

TEN_YEARS = timedelta(days=3653)
"""The furthest that a step lies from its anchor: what is further is a slip of the pen."""

ScheduleName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,99}$")]


class AnchorKind(StrEnum):
    """What a schedule counts from."""

    DUE_DATE = "due_date"
    """A calendar day of the customer's; every step has a local time of day."""
    ASSIGNED_AT = "assigned_at"
    """The moment of the assignment; steps without a time of day count from it exactly."""


class Weekday(StrEnum):
    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Ends(StrEnum):
    """A fact that ends a customer's run through a schedule."""

    PAID = "paid"


class Late(StrEnum):
    """What becomes of a step that could not start in time."""

    SEND = "send"
    SKIP = "skip"


class Step(BaseModel):
    """One reminder. `offset` is ISO 8601: P3D is three days after the anchor, -P2D two before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    offset: timedelta = Field(ge=-TEN_YEARS, le=TEN_YEARS)
    at: time | None = None
    """Local time of day in the customer's zone; then `offset` counts whole days."""
    channel: Channel
    template: TemplateName
    sets_status: Status | None = None
    late_after: timedelta = Field(default=timedelta(days=2), ge=timedelta(0), le=TEN_YEARS)
    when_late: Late = Late.SKIP

    @model_validator(mode="after")
    def _time_of_day_counts_whole_days(self) -> Self:
        if self.at is not None and self.offset % timedelta(days=1):
            raise ValueError(
                "has a time of day and an offset with hours: give whole days, such as P3D, or "
                "leave `at` out"
            )
        if self.at is not None and self.at.tzinfo is not None:
            raise ValueError("has a time of day with an offset: it is local, such as 09:30")
        if self.sets_status in (Status.PROMISED, Status.DISPUTED):
            raise ValueError("can set the status on_track or late: the others come from facts")
        return self


class Window(BaseModel):
    """When messages may start, in the customer's local time; `until` is not part of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    weekdays: Annotated[frozenset[Weekday], Field(min_length=1)] = frozenset(Weekday)
    opens: time = Field(default=time(0), alias="from")
    until: time | None = None
    """None is midnight, 24:00."""

    @field_validator("until", mode="before")
    @classmethod
    def _midnight_is_none(cls, until: object) -> object:
        return None if until in ("24:00", "24:00:00") else until

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


class Schedule(BaseModel):
    """The definition that `put_schedule` brings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    anchor: AnchorKind
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=200)]
    window: Window = Window()
    zone: Zone | None = None
    """For customers whose own zone is not known; None: the account's."""
    ends: frozenset[Ends] = frozenset({Ends.PAID})

    @field_serializer("ends")
    def _in_order(self, ends: frozenset[Ends]) -> list[Ends]:
        return sorted(ends)

    @model_validator(mode="after")
    def _steps_do_not_contradict(self) -> Self:
        for number, step in enumerate(self.steps, 1):
            self._check_hour(number, step)
        for number, (before, after) in enumerate(zip(self.steps, self.steps[1:], strict=False), 2):
            _check_order(number, before, after)
        return self

    def _check_hour(self, number: int, step: Step) -> None:
        if step.at is None and self.anchor is AnchorKind.DUE_DATE:
            raise ValueError(f"step {number} has no time of day, and a due date has none either")
        opens, until = self.window.opens, self.window.until
        if step.at is not None and (step.at < opens or (until is not None and step.at >= until)):
            closes = "24:00" if until is None else f"{until:%H:%M}"
            raise ValueError(
                f"step {number} is at {step.at:%H:%M}, outside the window from {opens:%H:%M} to "
                f"{closes}: it could never be sent on time"
            )


def _check_order(number: int, before: Step, after: Step) -> None:
    same_day = before.offset == after.offset and before.at is not None and after.at is not None
    if after.offset < before.offset or (same_day and after.at < before.at):  # type: ignore[operator] # both are set on the same day
        raise ValueError(f"step {number} comes before step {number - 1}: list them in time order")
    if (after.offset, after.at, after.channel) == (before.offset, before.at, before.channel):
        raise ValueError(f"step {number} repeats step {number - 1}: same moment, same channel")
