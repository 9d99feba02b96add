"""At most so many messages in any period that rolls on: docs/gate.md."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple


class Message(NamedTuple):
    """One that went out, may have, or is in progress."""

    at: datetime
    channel: str
    reference: str


class Cap(NamedTuple):
    at_most: int
    hours: int
    channel: str | None = None
    per_debt: bool = False

    @property
    def period(self) -> timedelta:
        return timedelta(hours=self.hours)

    def has_room(self, at: datetime, one: Message, others: Sequence[Message]) -> bool:
        """For one more message at a moment."""
        if self.channel not in (None, one.channel):
            return True
        counted = [
            other
            for other in others
            if other.at > at - self.period
            and self.channel in (None, other.channel)
            and (not self.per_debt or other.reference == one.reference)
        ]
        return len(counted) < self.at_most

    def as_json(self) -> dict[str, Any]:
        channel = {"channel": self.channel} if self.channel else {}
        per = {"per": "debt"} if self.per_debt else {}
        return {"at_most": self.at_most, "in": f"PT{self.hours}H"} | channel | per
