"""Whose clock and whose calendar count: docs/schedules.md."""

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from stateful.plain import places
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
    """A customer is; None: nobody has said."""

    settings: Settings = field(default_factory=Settings)
    zone: str | None = "UTC"
    number: str | None = None
    country: str | None = None

    @property
    def derived(self) -> str | None:
        return places.derived(self.number, self.country)

    def zone_by(self, plan: Plan | None = None) -> ZoneInfo:
        of_plan = plan.zone if plan else None
        return ZoneInfo(self.zone or self.derived or of_plan or self.settings.zone)

    @property
    def places(self) -> list[ZoneInfo]:
        """All that the record points to."""
        return [ZoneInfo(at) for at in places.all_at_once(self.zone, self.number, self.country)]

    def calendar_by(self, plan: Plan) -> Calendar:
        if plan.holidays == "none":
            return EVERY_DAY
        if plan.holidays is None:
            return self.settings.calendar
        return plan.holidays._replace(days=plan.holidays.days | self.settings.calendar.days)
