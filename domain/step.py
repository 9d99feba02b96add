"""A step of a schedule: when, by which channel, with which text, and what if it is late."""

from datetime import time, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from domain.journey import Status
from domain.message import Channel
from domain.template import TemplateName
from domain.times import LocalTime, Span

TEN_YEARS = timedelta(days=3653)
"""The furthest that a step lies from its anchor: what is further is a slip of the pen."""

BUSINESS_DAYS_AT_MOST = 1_000
LATE_FROM = timedelta(minutes=1)
"""What starts within it is in time: between being due and being started lie a tick and a queue."""

_FAR = 100 * TEN_YEARS

StepName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,99}$")]


class Late(StrEnum):
    """What becomes of a step that could not start in time."""

    SEND = "send"
    SKIP = "skip"
    REANCHOR = "reanchor"
    """It is sent, and the steps after it keep their distance to it: they all move with it."""


class Fallback(BaseModel):
    """How a step goes to whom its channel can't or may not reach."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: Channel
    template: TemplateName


_SAID_IF_SET = frozenset({"name", "offset", "business_days", "fallback"})


class Step(BaseModel):
    """One reminder. `offset` is ISO 8601: P3D is three days after the anchor, -P2D two before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: StepName | None = None
    """By which a newer version knows the step again, wherever it has been moved to."""
    offset: Annotated[Span, Field(ge=-TEN_YEARS, le=TEN_YEARS)] | None = None
    business_days: (
        Annotated[int, Field(ge=-BUSINESS_DAYS_AT_MOST, le=BUSINESS_DAYS_AT_MOST)] | None
    ) = None
    """In place of `offset`: so many business days after the anchor's day, or before it."""
    at: LocalTime | None = None
    """Local time of day in the customer's zone; then `offset` counts whole days."""
    channel: Channel
    template: TemplateName
    fallback: Fallback | None = None
    sets_status: Status | None = None
    late_after: Annotated[Span, Field(ge=timedelta(0), le=TEN_YEARS)] = timedelta(days=2)
    when_late: Late = Late.SKIP

    @model_serializer(mode="wrap")
    def _as_short_as_ever(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # What older versions of Layby don't know is left out where it is not used: they read it,
        # and the same schedule sent again is the same version as before.
        fields: dict[str, Any] = written(self)
        return {
            name: value
            for name, value in fields.items()
            if value is not None or name not in _SAID_IF_SET
        }

    @model_validator(mode="after")
    def _does_not_contradict_itself(self) -> Self:
        self._check_moment()
        if self.sets_status in (Status.PROMISED, Status.DISPUTED):
            raise ValueError("can set the status on_track or late: the others come from facts")
        if self.fallback is not None and self.fallback.channel is self.channel:
            raise ValueError(
                f"has a fallback on its own channel, {self.channel.value}: give the other one"
            )
        return self

    def _check_moment(self) -> None:
        if (self.offset is None) is (self.business_days is None):
            raise ValueError(
                "needs one of `offset`, such as P3D, and `business_days`, such as 3, not both"
            )
        if self.business_days is not None and self.at is None:
            raise ValueError('counts business days without a time of day: give `at`, as in "09:30"')
        if self.at is None:
            return
        if self.offset is not None and self.offset % timedelta(days=1):
            raise ValueError(
                "has a time of day and an offset with hours: give whole days, such as P3D, or "
                "leave `at` out"
            )
        if self.at.tzinfo is not None:
            raise ValueError("has a time of day with an offset: it is local, such as 09:30")

    @property
    def moment(self) -> tuple[timedelta | None, int | None, time | None]:
        """When it is, as it is written."""
        return self.offset, self.business_days, self.at

    def is_late(self, by: timedelta) -> bool:
        """Whether so much is later than it allows."""
        return by > self.late_after and by >= LATE_FROM

    def reanchors(self, by: timedelta) -> bool:
        """Whether, so late, it moves the steps after it."""
        return self.when_late is Late.REANCHOR and self.is_late(by)

    @property
    def bounds(self) -> tuple[timedelta, timedelta]:
        """The soonest and the latest that it lies from the anchor, in days of the calendar."""
        if self.offset is not None:
            return self.offset, self.offset
        assert self.business_days is not None, "it has one of them"
        days = timedelta(days=self.business_days)
        return (days, _FAR) if self.business_days >= 0 else (-_FAR, days)

    def other_channel(self, channel: Channel) -> Channel | None:
        """The fallback's channel, for a step that goes by its own; None: there is none to try."""
        return self.fallback.channel if self.fallback and channel is self.channel else None

    def by(self, channel: Channel) -> "Step":
        """The step as it goes by a channel: its own, or its fallback's with that text."""
        if self.fallback is None or channel is not self.fallback.channel:
            return self
        change = {"channel": self.fallback.channel, "template": self.fallback.template}
        return self.model_copy(update=change)
