"""Caps: at most so many messages to one customer in a period that rolls on."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.message import Channel

LONGEST_PERIOD = timedelta(days=366)


class Per(StrEnum):
    """What is counted together."""

    CUSTOMER = "customer"
    """All messages to one customer, over all of its schedules."""
    DEBT = "debt"
    """Those about one reference; what has none counts together (12 CFR 1006.14(b)(2)(i))."""


class Cap(BaseModel):
    """At most `at_most` messages in any span as long as `in`, an ISO 8601 duration."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    at_most: Annotated[int, Field(ge=1, le=1000)]
    period: Annotated[timedelta, Field(alias="in", le=LONGEST_PERIOD)]
    channel: Channel | None = None
    """Only messages of this channel count, and are put off; None: of all."""
    per: Per = Per.CUSTOMER

    @model_validator(mode="after")
    def _takes_time(self) -> Self:
        if self.period <= timedelta(0):
            raise ValueError("has a period of no length: give one such as P7D or PT24H")
        return self


class Recent(NamedTuple):
    """A message that went out, may have (unknown), or is in progress."""

    at: datetime
    channel: str
    reference: str


def counted(cap: Cap, now: datetime, reference: str, recent: Iterable[Recent]) -> list[datetime]:
    """The messages that fill a cap for a send about a reference: moments, the newest first."""
    since, channel, any_debt = now - cap.period, cap.channel, cap.per is Per.CUSTOMER
    return sorted(
        (
            one.at
            for one in recent
            if one.at > since
            and (channel is None or channel == one.channel)
            and (any_debt or one.reference == reference)
        ),
        reverse=True,
    )


def free_at(
    cap: Cap, now: datetime, channel: str, reference: str, recent: Collection[Recent]
) -> datetime:
    """When a send fits under the cap: now, or once enough has fallen out of the period."""
    if len(recent) < cap.at_most or cap.channel not in (None, channel):
        return now
    filled = counted(cap, now, reference, recent)
    return now if len(filled) < cap.at_most else filled[cap.at_most - 1] + cap.period
