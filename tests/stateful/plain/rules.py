"""The rules of the gate that say when: docs/gate.md."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from stateful.plain.calendar import EVERY_DAY, Calendar
from stateful.plain.caps import Cap, Message
from stateful.plain.hours import ALWAYS, DAY, Window, first, shown
from stateful.plain.laws import COLLECTOR, EVERY_KIND, Hours, Law

TOGETHER = timedelta(minutes=10)
HOUR = timedelta(hours=1)


class Rules(NamedTuple):
    """An account's."""

    caps: tuple[Cap, ...] = ()
    quiet: tuple[time, time] | None = None
    """From, until; over midnight where it begins after it ends."""
    collector: bool = False
    law: tuple[str, ...] = ()
    """Of which kinds its messages are."""
    apart: bool = True

    def are_quiet(self, at: time) -> bool:
        if self.quiet is None:
            return False
        begin, until = self.quiet
        return begin <= at < until if begin < until else at >= begin or at < until

    def as_json(self) -> dict[str, Any]:
        hours = self.quiet and {"from": f"{self.quiet[0]:%H:%M}", "until": f"{self.quiet[1]:%H:%M}"}
        return {
            "caps": [cap.as_json() for cap in self.caps],
            "no_send_hours": hours,
            "collector": self.collector,
            "stricter_law": self.law == EVERY_KIND or list(self.law),
            "apart": self.apart,
        }


class Went(NamedTuple):
    """A run's last message: when it went out, or may have, and when it was planned for."""

    at: datetime
    planned: datetime

    def holds_back(self, planned: datetime, at: datetime, zone: ZoneInfo) -> datetime | None:
        """One that was planned for then, at a moment: until when; None: it does not."""
        between, late = planned - self.planned, self.at - self.planned
        if between < TOGETHER or late <= between / 4:
            return None
        here = [one.astimezone(zone) for one in (self.planned, planned, self.at, at)]
        first_day, next_day, went, today = (one.date() for one in here)
        if first_day == next_day:
            until = self.at + between / 2
            return until if at < until else None
        if late <= HOUR or today > went:
            return None
        return shown(datetime.combine(went + DAY, here[1].time()), zone)


class Asked(NamedTuple):
    """A message that is due, and all that says when it may go."""

    rules: Rules
    zone: ZoneInfo
    message: Message
    planned: datetime
    others: Sequence[Message] = ()
    """Of the same customer."""
    window: Window = ALWAYS
    calendar: Calendar = EVERY_DAY
    places: Sequence[ZoneInfo] = ()
    """Where the customer may be."""
    laws: tuple[Law, ...] = ()
    last: Went | None = None
    """The message before it, of the same run."""

    def put_off(self) -> tuple[str, datetime | None] | None:
        """By which rule, and to which moment that no rule objects to; None: there is none."""
        rule = self._objection(self.message.at)
        if rule is None:
            return None
        fall_out = [other.at + cap.period for other in self.others for cap in self._caps]
        looked_at = first(self.message.at, lambda at: self._closed(at) is None, (), self._anywhere)
        held_until = looked_at and self._held_back(looked_at)
        begin = held_until or self.message.at
        until = first(begin, lambda at: self._objection(at) is None, fall_out, self._anywhere)
        return (rule if until else self._never() or rule), until

    @property
    def _anywhere(self) -> list[ZoneInfo]:
        return [self.zone, *self.places]

    @property
    def _caps(self) -> list[Cap]:
        return [*self.rules.caps, *(cap for law in self.laws for cap in law.caps)]

    def _held_back(self, at: datetime) -> datetime | None:
        if self.last is None or not self.rules.apart:
            return None
        return self.last.holds_back(self.planned, at, self.zone)

    def _objection(self, at: datetime) -> str | None:
        if closed := self._closed(at):
            return closed
        if self._held_back(at):
            return "apart"
        return None if self._room(self.rules.caps, at) else "caps"

    def _closed(self, at: datetime) -> str | None:
        """By hours, laws and holidays, which come first."""
        local = at.astimezone(self.zone)
        places = self.places or [self.zone]
        if self.rules.collector and not COLLECTOR.allow(at, places):
            return "collector"
        if not all(law.hours.allow(at, places) and self._room(law.caps, at) for law in self.laws):
            return "stricter_law"
        if self.rules.are_quiet(local.time()):
            return "no_send_hours"
        if not self.window.allows(local):
            return "in_window"
        if self.calendar.closed(local.date()):
            return "on_no_holiday"
        return None

    def _room(self, caps: Sequence[Cap], at: datetime) -> bool:
        return all(cap.has_room(at, self.message, self.others) for cap in caps)

    def _never(self) -> str | None:
        """Which rule of many places allows no hour of any day, whatever the others say."""
        if self.rules.collector and self._is_never(COLLECTOR):
            return "collector"
        return "stricter_law" if any(self._is_never(law.hours) for law in self.laws) else None

    def _is_never(self, hours: Hours) -> bool:
        places = self.places or [self.zone]
        return first(self.message.at, lambda at: hours.allow(at, places), (), places) is None
