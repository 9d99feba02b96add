"""Deciding on a batch: the facts of each due send, what the gate says of it, and the record."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from domain.caps import Recent
from domain.decision import Decision, Facts, Send
from domain.gate import decide
from domain.message import Channel
from domain.record import Versions, record_of
from domain.schedule import Schedule
from domain.step import Step
from domain.switch import Paused
from storage.accounts import Account
from storage.database import Connection
from storage.definitions import TemplateVersion, newest_templates, read_schedule
from storage.starts import Due
from workers.asking import Asking, suppressed


class Ruling(NamedTuple):
    """What the gate says of a send, and of all others that differ in nothing it asks for."""

    schedule: Schedule
    step: Step
    """As it goes by this channel."""
    template: TemplateVersion | None
    decision: Decision
    record: str
    """Of the decision, as JSON."""


class Decided(NamedTuple):
    """A due send, and what the gate says of it."""

    due: Due
    ruling: Ruling

    @property
    def decision(self) -> Decision:
        return self.ruling.decision

    @property
    def record(self) -> str:
        return self.ruling.record


def decide_all(
    connection: Connection,
    account: Account,
    channel: Channel,
    due: Sequence[Due],
    paused: Paused,
) -> list[Decided]:
    """Decide on what was read under its locks, in one transaction with what is made of it."""
    schedules = {
        run: read_schedule(connection, account.account, *run)
        for run in {(one.schedule, one.version) for one in due}
    }
    names = {
        schedules[schedule, version].step_at(step).by(channel).template
        for schedule, version, step in {(one.schedule, one.version, one.step) for one in due}
    }
    templates = {
        name: template
        for name, template in newest_templates(connection, account.account, names).items()
        if template.definition.channel is channel
    }
    against = suppressed(connection, account, channel, due)
    asking = Asking(account, channel, templates, paused, against)
    counting = account.rules.counting[channel] is not None
    return _decide_all(asking, sorted(due, key=_planned_first), schedules, counting=counting)


_Schedules = dict[tuple[str, int], Schedule]


def _decide_all(
    asking: Asking, due: Sequence[Due], schedules: _Schedules, *, counting: bool
) -> list[Decided]:
    """Those that are alike are asked about once: most of a batch share hour and step.

    Where messages are counted, each that goes counts for those of its customer after it.
    """
    rulings: dict[tuple[object, ...], Ruling] = {}
    going, decided = Going(), []
    for one in due:
        alike = None if one.recent or going.before(one) else asking.alike(one)
        ruling = rulings.get(alike) if alike is not None else None
        if ruling is None:
            ruling = _ruling(asking, one, schedules[one.schedule, one.version], going)
            if alike is not None:
                rulings[alike] = ruling
        if counting and isinstance(ruling.decision, Send):
            going.add(one, Recent(asking.account.now, asking.channel.value, one.reference))
        decided.append(Decided(one, ruling))
    return decided


def _ruling(asking: Asking, due: Due, schedule: Schedule, going: "Going") -> Ruling:
    account, step = asking.account, schedule.step_at(due.step)
    facts = going.added_to(asking.facts(due, schedule, step, account.now), due)
    decision = decide(facts)
    template = asking.templates.get(facts.step.template)
    versions = Versions(due.schedule, due.version, account.rules_version, account.clock)
    record = record_of(decision, facts, versions, template.version if template else None)
    return Ruling(facts.schedule, facts.step, template, decision, record)


def _planned_first(due: Due) -> tuple[datetime, int]:
    """Of two that are due at once, which takes a cap's last place is no accident."""
    return due.held.planned_at, due.held.enrolment


class Going:
    """What of this very batch goes to each customer: it counts as what is in the tables does."""

    def __init__(self) -> None:
        self._going: dict[str, tuple[Recent, ...]] = {}

    def before(self, due: Due) -> tuple[Recent, ...]:
        """What goes to the same customer before a send."""
        return self._going.get(due.held.customer, ())

    def added_to(self, facts: Facts, due: Due) -> Facts:
        """The facts of a send, with what goes before it."""
        going = self.before(due)
        if not going:
            return facts
        return facts._replace(recent=(*facts.recent, *going), messages=facts.messages + len(going))

    def add(self, due: Due, message: Recent) -> None:
        """It starts: those of the same customer that come after it in the batch count it."""
        self._going[due.held.customer] = (*self.before(due), message)
