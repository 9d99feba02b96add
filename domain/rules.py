"""An account's rules: what its messages keep to besides its schedules, each by its name."""

from collections.abc import Sequence
from datetime import time, timedelta
from functools import cached_property
from typing import Annotated, Any, NamedTuple, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_serializer,
    field_validator,
    model_validator,
)

from domain.caps import Cap
from domain.hours import Hours, window
from domain.law import LAWS, Purpose
from domain.message import Channel


class NoSendHours(BaseModel):
    """Hours of the customer's day in which nothing starts; they may go over midnight."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    begin: time = Field(alias="from")
    until: time

    @field_validator("until", mode="before")
    @classmethod
    def _midnight_ends_a_day(cls, until: object) -> object:
        # As a window says it.
        return "00:00" if until in ("24:00", "24:00:00") else until

    @model_validator(mode="after")
    def _leaves_some_hours(self) -> Self:
        if self.begin.tzinfo is not None or self.until.tzinfo is not None:
            raise ValueError("has an hour with an offset: hours are local, such as 20:00")
        if any(at.replace(second=0, microsecond=0) != at for at in (self.begin, self.until)):
            raise ValueError("has an hour with seconds: give whole minutes, such as 20:00")
        if self.begin == self.until:
            raise ValueError(
                f"is from {self.begin:%H:%M} until {self.until:%H:%M}, which is the whole day: "
                "pause the account instead, or give another hour"
            )
        return self

    @cached_property
    def allowed(self) -> Hours:
        """The hours that are left."""
        if self.until < self.begin:
            return Hours((window(self.until, self.begin),))
        before = (window(time(0), self.begin),) if self.begin > time(0) else ()
        after = (window(self.until, None),)
        return Hours((*before, *after))


class Counting(NamedTuple):
    """How far back messages are counted, and from how many on one may be too many."""

    back: timedelta
    full_from: int


class Rules(BaseModel):
    """The rules that are an account's own choice. Those that make a send impossible always hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    collector: bool = False
    """12 CFR 1006.6(b)(1): 08:00 to 21:00 in every zone that the customer may be in."""
    stricter_law: bool | frozenset[Purpose] = False
    """Jurisdictions stricter than the schedule, for messages of these kinds; true: of all."""
    no_send_hours: NoSendHours | None = None
    caps: Annotated[tuple[Cap, ...], Field(max_length=20)] = ()
    apart: bool = True
    """The messages of one enrolment keep apart when they are late."""

    @model_validator(mode="before")
    @classmethod
    def _every_rule_is_known(cls, given: Any) -> Any:
        unknown = sorted(set(given) - set(cls.model_fields)) if isinstance(given, dict) else []
        if unknown:
            raise ValueError(
                f"has no rule {', '.join(map(str, unknown))}: the rules that can be turned on and "
                f"off are {', '.join(cls.model_fields)}"
            )
        return given

    @field_serializer("stricter_law")
    def _in_order(self, kinds: bool | frozenset[Purpose]) -> bool | list[Purpose]:  # noqa: FBT001
        return kinds if isinstance(kinds, bool) else sorted(kinds)

    def as_kept(self) -> str:
        """The rules that were given, as JSON; the others are left as they are."""
        return self.model_dump_json(by_alias=True, exclude_unset=True)

    @cached_property
    def purposes(self) -> frozenset[Purpose]:
        """The kinds of messages whose laws count."""
        if isinstance(self.stricter_law, bool):
            return frozenset(Purpose) if self.stricter_law else frozenset()
        return self.stricter_law

    @cached_property
    def look_at_places(self) -> bool:
        return self.collector or bool(self.purposes)

    @cached_property
    def least_cap(self) -> int:
        """With fewer recent messages than this, no cap is full."""
        return min((cap.at_most for cap in self.caps), default=0)

    @cached_property
    def counting(self) -> dict[Channel, Counting | None]:
        """What counts messages that go by a channel; None: nothing does."""
        return {channel: _counting((*self.caps, *self._law_caps(channel))) for channel in Channel}

    def _law_caps(self, channel: Channel) -> list[Cap]:
        laws = (law for law in LAWS if law.channel is channel)
        return [cap for law in laws if law.purposes & self.purposes for cap in law.caps]


def _counting(caps: Sequence[Cap]) -> Counting | None:
    if not caps:
        return None
    return Counting(max(cap.period for cap in caps), min(cap.at_most for cap in caps))
