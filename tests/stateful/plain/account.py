"""All customers of an account, and the versions of its schedules."""

from datetime import date, datetime
from typing import Any

from stateful.plain import sending
from stateful.plain.calendar import Calendar
from stateful.plain.customer import Came, Customer
from stateful.plain.facts import record
from stateful.plain.plan import Plan
from stateful.plain.rules import Rules
from stateful.plain.run import Run
from stateful.plain.silence import lift, lift_recipient, silence, silence_recipient
from stateful.plain.versions import move_to_version
from stateful.plain.where import Settings, Where
from stateful.plain.words import Words

KINDS = {
    "block": "blocked",
    "unblock": "blocked",
    "opt_out": "opted_out",
    "opt_in": "opted_out",
}
"""Of words, by the command that says or lifts them."""


class Account:
    def __init__(self, now: datetime) -> None:
        self.now = now
        self.settings = Settings()
        self.words = Words()
        self.customers: dict[str, Customer] = {}
        self.versions: dict[str, list[Plan]] = {}

    def add(self, name: str, zone: str | None, country: str | None, at: dict[str, str]) -> None:
        where = Where(self.settings, zone, at.get("sms"), country)
        self.customers[name] = Customer(self.now, name, where, dict(at), self.words)

    def put(
        self,
        zone: str | None = None,
        calendar: Calendar | None = None,
        rules: Rules | None = None,
    ) -> None:
        """Another zone or calendar plans anew; other rules are asked when something is due."""
        settings = self.settings
        before = settings.zone, settings.calendar
        settings.zone, settings.calendar = zone or settings.zone, calendar or settings.calendar
        settings.rules = rules or settings.rules
        if (settings.zone, settings.calendar) != before:
            for who in self.customers.values():
                who.plan_anew()

    def put_schedule(self, schedule: str, plan: Plan) -> None:
        versions = self.versions.setdefault(schedule, [])
        if versions[-1:] != [plan]:
            versions.append(plan)

    def apply(self, kind: str, name: str, fields: dict[str, Any]) -> Came:
        """A command for one customer."""
        who = self.customers[name]
        match kind:
            case "assign_schedule":
                return self._assign(who, **fields)
            case "remove_from_schedule":
                return who.remove(fields["schedule"], fields.get("reference"))
            case "move_to_version":
                versions = self.versions[fields["schedule"]]
                return move_to_version(who, fields["schedule"], versions[-1], len(versions))
            case "record":
                return record(who, fields["fact"])
            case "update_customer":
                who.change(fields["profile"])
                return Came()
            case "block" | "opt_out":
                return silence(who, KINDS[kind], **fields)
            case "unblock" | "opt_in":
                scope = {key: fields[key] for key in ("channel", "schedule") if key in fields}
                return lift(who, KINDS[kind], **scope)
            case _:
                came: Came = getattr(who, kind)(**fields)
                return came

    def _assign(
        self, who: Customer, schedule: str, reference: str, due_date: str | None = None
    ) -> Came:
        versions = self.versions[schedule]
        due = date.fromisoformat(due_date) if due_date else None
        return who.assign(schedule, versions[-1], reference, due, len(versions))

    def apply_to_recipient(self, kind: str, channel: str, target: str, schedule: str = "") -> Came:
        """A command for whoever has an address or a number."""
        everybody = list(self.customers.values())
        if kind in ("block", "opt_out"):
            return silence_recipient(everybody, KINDS[kind], channel, target, schedule)
        return lift_recipient(everybody, KINDS[kind], channel, target, schedule or None)

    def go_on(self, now: datetime) -> None:
        self.now = now
        for who in self.customers.values():
            who.go_on(now)

    @property
    def pending(self) -> list[Run]:
        return [run for who in self.customers.values() for run in who.live if run.pending]

    @property
    def started(self) -> list[Run]:
        return [run for who in self.customers.values() for run in who.runs if run.started]

    def due(self, channel: str) -> list[Run]:
        return [run for run in self.pending if run.channel == channel and run.is_due(self.now)]

    def start(self, channel: str, but_for: str | None = None) -> list[Run]:
        """A batch passes by whom somebody else has locked."""
        free = [who for who in self.customers.values() if who.name != but_for]
        return [run for who in free for run in sending.start(who, channel)]

    def whose(self, run: Run) -> Customer:
        return next(who for who in self.customers.values() if run in who.runs)
