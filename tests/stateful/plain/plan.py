"""A schedule in days from a due date, each step at nine of the customer: docs/schedules.md."""

from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
TEXTS = {"email": "hello", "sms": "nudge"}


class Step(NamedTuple):
    name: str
    days: int
    channel: str = "email"
    fallback: str | None = None
    status: str | None = None
    late_after_days: int = 2
    when_late: str = "skip"

    @property
    def ways(self) -> list[str]:
        return [self.channel] + ([self.fallback] if self.fallback else [])

    def as_json(self) -> dict[str, Any]:
        step: dict[str, Any] = {
            "name": self.name,
            "offset": f"{'-' if self.days < 0 else ''}P{abs(self.days)}D",
            "at": "09:00",
            "channel": self.channel,
            "template": TEXTS[self.channel],
            "late_after": f"P{self.late_after_days}D",
            "when_late": self.when_late,
        }
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

    def moment(self, anchor: date, number: int, zone: ZoneInfo) -> datetime:
        days = self.step(number).days + self.round(number) * self.every
        return datetime.combine(anchor + days * DAY, time(9), tzinfo=zone)

    def as_json(self) -> dict[str, Any]:
        definition = {
            "anchor": "due_date",
            "steps": [step.as_json() for step in self.steps],
            "ends": ["paid"] if self.ends else [],
            "holds": sorted(self.holds),
        }
        if self.times:
            definition["repeat"] = {"every": f"P{self.every}D", "times": self.times, "of": self.of}
        return definition


def on_days(*days: int, late: frozenset[int] = frozenset()) -> Plan:
    """Emails on these days, of which some say that the customer is late."""
    return Plan(
        tuple(
            Step(f"day-{day}", day, status="late" if number in late else None)
            for number, day in enumerate(days)
        )
    )
