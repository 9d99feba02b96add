"""The rules of the gate that say when, as far as accounts here have them: docs/gate.md."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from stateful.plain.calendar import Calendar
from stateful.plain.hours import Window, first


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


class Rules(NamedTuple):
    """An account's."""

    caps: tuple[Cap, ...] = ()
    quiet: tuple[time, time] | None = None
    """From, until; over midnight where it begins after it ends."""

    def are_quiet(self, at: time) -> bool:
        if self.quiet is None:
            return False
        begin, until = self.quiet
        return begin <= at < until if begin < until else at >= begin or at < until

    def as_json(self) -> dict[str, Any]:
        hours = self.quiet and {"from": f"{self.quiet[0]:%H:%M}", "until": f"{self.quiet[1]:%H:%M}"}
        return {"caps": [cap.as_json() for cap in self.caps], "no_send_hours": hours}


class Asked(NamedTuple):
    """A message that is due, and all that says when it may go."""

    rules: Rules
    window: Window
    calendar: Calendar
    zone: ZoneInfo
    message: Message
    others: Sequence[Message]
    """Of the same customer."""

    def put_off(self) -> tuple[str, datetime | None] | None:
        """By which rule, and to which moment that no rule objects to; None: there is none."""
        rule = self._objection(self.message.at)
        if rule is None:
            return None
        fall_out = [other.at + cap.period for other in self.others for cap in self.rules.caps]
        return rule, first(self.message.at, lambda at: self._objection(at) is None, fall_out)

    def _objection(self, at: datetime) -> str | None:
        local = at.astimezone(self.zone)
        if self.rules.are_quiet(local.time()):
            return "no_send_hours"
        if not self.window.allows(local):
            return "in_window"
        if self.calendar.closed(local.date()):
            return "on_no_holiday"
        if not all(cap.has_room(at, self.message, self.others) for cap in self.rules.caps):
            return "caps"
        return None
