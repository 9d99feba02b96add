"""A schedule, and when its steps are: docs/schedules.md."""

from datetime import date, datetime, time, timedelta
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from stateful.plain.calendar import Calendar
from stateful.plain.hours import ALWAYS, DAY, Window, first, shown

TEXTS = {"email": "hello", "sms": "nudge"}
NINE = time(9)

Anchor = date | datetime
"""A due date, or the moment of the assignment."""


class Step(NamedTuple):
    """So many days after the anchor's, at an hour; without one, days and hours after a moment."""

    name: str
    days: int = 0
    channel: str = "email"
    fallback: str | None = None
    status: str | None = None
    late_after_days: int = 2
    when_late: str = "skip"
    at: time | None = NINE
    business: bool = False
    """These days are business days."""
    hours: int = 0

    @property
    def ways(self) -> list[str]:
        return [self.channel] + ([self.fallback] if self.fallback else [])

    def day(self, first_day: date, calendar: Calendar) -> date:
        if self.business:
            return calendar.business_days_after(first_day, self.days)
        return first_day + self.days * DAY

    def as_json(self) -> dict[str, Any]:
        sign, days = "-" if self.days < 0 else "", abs(self.days)
        offset = f"{sign}P{days}D" if self.at else f"P{days}DT{self.hours}H"
        step: dict[str, Any] = {
            "name": self.name,
            "channel": self.channel,
            "template": TEXTS[self.channel],
            "late_after": f"P{self.late_after_days}D",
            "when_late": self.when_late,
        }
        step |= {"business_days": self.days} if self.business else {"offset": offset}
        if self.at:
            step["at"] = f"{self.at:%H:%M}"
        if self.fallback:
            step["fallback"] = {"channel": self.fallback, "template": TEXTS[self.fallback]}
        return step | ({"sets_status": self.status} if self.status else {})


class Plan(NamedTuple):
    """One version of a schedule."""

    steps: tuple[Step, ...]
    ends: bool = True
    holds: frozenset[str] = frozenset({"promised", "disputed", "replied"})
    every: int = 0
    """Days."""
    times: int = 0
    of: str = "last"
    by_moment: bool = False
    """It counts from the moment of the assignment."""
    window: Window = ALWAYS
    holidays: Calendar | Literal["none"] | None = None
    """None: the account's."""
    zone: str | None = None

    @property
    def length(self) -> int:
        return len(self.steps) + self.times * (1 if self.of == "last" else len(self.steps))

    def round(self, number: int) -> int:
        if self.of == "all":
            return number // len(self.steps)
        return max(0, number - len(self.steps) + 1)

    def step(self, number: int) -> Step:
        if self.of == "all":
            return self.steps[number % len(self.steps)]
        return self.steps[min(number, len(self.steps) - 1)]

    def known_as(self, number: int) -> tuple[str, int]:
        """By which another version knows this send again."""
        return self.step(number).name, self.round(number)

    def known(self) -> list[tuple[str, int]]:
        return [self.known_as(number) for number in range(self.length)]

    def moment(self, anchor: Anchor, number: int, zone: ZoneInfo, calendar: Calendar) -> datetime:
        """No send is due before the one above it."""
        return max(self._alone(anchor, each, zone, calendar) for each in range(number + 1))

    def _alone(self, anchor: Anchor, number: int, zone: ZoneInfo, calendar: Calendar) -> datetime:
        step, again = self.step(number), self.round(number) * self.every * DAY
        if step.at is None:
            assert isinstance(anchor, datetime)
            at = anchor + step.days * DAY + timedelta(hours=step.hours) + again
        else:
            day = anchor.astimezone(zone).date() if isinstance(anchor, datetime) else anchor
            from_day, later = (day + again, 0 * DAY) if self.of == "all" else (day, again)
            day = step.day(from_day, calendar) + later
            while not self._open(datetime.combine(day, step.at), calendar):
                day += DAY
            at = shown(datetime.combine(day, step.at), zone)
        opened = first(at, lambda one: self._open(one.astimezone(zone), calendar))
        assert opened is not None, "no window of these is never open"
        return opened

    def _open(self, local: datetime, calendar: Calendar) -> bool:
        return self.window.allows(local) and not calendar.closed(local.date())

    def as_json(self) -> dict[str, Any]:
        definition = {
            "anchor": "assigned_at" if self.by_moment else "due_date",
            "steps": [step.as_json() for step in self.steps],
            "window": self.window.as_json(),
            "ends": ["paid"] if self.ends else [],
            "holds": sorted(self.holds),
        }
        if self.times:
            definition["repeat"] = {"every": f"P{self.every}D", "times": self.times, "of": self.of}
        if self.holidays is not None:
            none = self.holidays == "none"
            definition["holidays"] = "none" if none else self.holidays.as_json()  # type: ignore[union-attr] # it is a calendar
        return definition | ({"zone": self.zone} if self.zone else {})


def on_days(*days: int, late: frozenset[int] = frozenset()) -> Plan:
    """Emails on these days, of which some say that the customer is late."""
    return Plan(
        tuple(
            Step(f"day-{day}", day, status="late" if number in late else None)
            for number, day in enumerate(days)
        )
    )
