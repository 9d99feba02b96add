"""What a schedule would come to for a customer who began it: planned, and asked of the gate."""

from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from domain.calendar import Calendar
from domain.decision import Facts
from domain.forecast import Foreseen, Next, Run, foresee
from domain.message import Channel
from domain.planning import Anchor, due_at
from domain.rules import Rules
from domain.schedule import Schedule
from storage.accounts import Account
from workers.asking import sender_of


class Somebody(NamedTuple):
    """Whom a preview is for."""

    zone: ZoneInfo
    channels: frozenset[Channel] = frozenset(Channel)
    """On which there is an address or number."""
    account: Account | None = None
    templates: frozenset[str] | None = None
    """Those that are there; None: not looked at."""


def gate_outlook(
    schedule: Schedule, anchor: Anchor, who: Somebody, calendar: Calendar, until: datetime
) -> dict[int, Foreseen]:
    """What the gate would make of each send, were it on time: by cursor."""
    first = due_at(schedule, 0, anchor, who.zone, calendar)
    run = Run(
        enrolment=0,
        schedule=schedule,
        cursor=0,
        anchor=anchor,
        shift_seconds=0,
        zone=who.zone,
        calendar=calendar,
        next=Next(schedule.step_at(0).channel, first, first),
    )
    begin = first - timedelta(days=1)
    found = foresee([run], begin, until, lambda *asked: _facts(who, *asked))
    return {one.cursor: one for one in found}


def _facts(who: Somebody, run: Run, planned: Next, at: datetime) -> Facts:
    step = run.step.by(planned.channel)
    return Facts(
        now=at,
        due_at=planned.planned_at,
        schedule=run.schedule,
        step=step,
        zone=run.zone,
        recipient="somebody" if planned.channel in who.channels else None,
        template_exists=who.templates is None or step.template in who.templates,
        sender="somebody" if who.account is None else sender_of(who.account, planned.channel),
        rules=who.account.rules if who.account is not None else Rules(),
        calendar=run.calendar,
        fallback=run.step.other_channel(planned.channel),
    )
