"""Whose clock and whose calendar count: docs/schedules.md."""

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from stateful.plain.calendar import EVERY_DAY, Calendar
from stateful.plain.plan import Plan
from stateful.plain.rules import Rules


@dataclass
class Settings:
    """An account's."""

    zone: str = "UTC"
    calendar: Calendar = EVERY_DAY
    rules: Rules = field(default_factory=Rules)


@dataclass
class Where:
    """A customer is; None: nobody has said. No zone can be derived from its number."""

    settings: Settings = field(default_factory=Settings)
    zone: str | None = "UTC"

    def zone_by(self, plan: Plan | None = None) -> ZoneInfo:
        of_plan = plan.zone if plan else None
        return ZoneInfo(self.zone or of_plan or self.settings.zone)

    def calendar_by(self, plan: Plan) -> Calendar:
        if plan.holidays == "none":
            return EVERY_DAY
        if plan.holidays is None:
            return self.settings.calendar
        return plan.holidays._replace(days=plan.holidays.days | self.settings.calendar.days)
