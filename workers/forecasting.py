"""What would go out of an account, when, and what would block it: read, then foreseen.

Asked of the tables with the very statements that a start asks (storage/starts.py), and decided by
its gate (domain/forecast.py). It locks nothing and changes nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from domain.decision import Facts
from domain.forecast import Foreseen, Next, Run, Started, foresee
from domain.message import Channel
from domain.planning import calendar_for, zone_of
from domain.schedule import Schedule
from storage import forecasts, starts
from storage.accounts import Account
from storage.database import Connection
from storage.definitions import TemplateVersion, newest_templates, read_schedule
from storage.forecasts import Live
from storage.starts import Due, Held
from workers.asking import Asking, count_back, suppressed

CUSTOMERS_AT_ONCE = 500
_ALL = 1_000_000
"""All that is to come of a customer is decided on together: what has gone out always counts."""

_NEVER = datetime.max.replace(tzinfo=UTC)


class Ahead(NamedTuple):
    """A coming send, and whose it is."""

    customer: str
    schedule: str
    version: int
    reference: str
    steps: int
    """How many sends the whole run has."""
    zone: ZoneInfo
    send: Foreseen

    @property
    def order(self) -> tuple[datetime, str, str, int]:
        """By moment; what waits for nobody knows how long comes last."""
        return (self.send.at or _NEVER, self.customer, self.reference, self.send.cursor)

    def as_row(self) -> dict[str, Any]:
        """Its fields as programs read them; moments in UTC, and on the customer's wall."""
        send, zone = self.send, self.zone
        return {
            "customer": self.customer,
            "schedule": self.schedule,
            "version": self.version,
            "reference": self.reference,
            "step": send.cursor + 1,
            "steps": self.steps,
            "outlook": send.outlook.value,
            "at": send.at,
            "local": send.at.astimezone(zone).isoformat() if send.at is not None else None,
            "zone": zone.key,
            "planned_at": send.planned_at,
            "channel": send.channel.value,
            "template": send.template,
            "rule": send.rule,
            "reason": send.reason,
            "fallback": send.fallback,
            "put_off": [one._asdict() for one in send.put_off],
        }


class Page(NamedTuple):
    """Some customers' coming sends."""

    ahead: list[Ahead]
    last: str | None
    """The next page's customers come after this one; None: this was the last page."""


class Wanted(NamedTuple):
    """Of whom, and until when."""

    until: datetime
    customer: str | None = None
    schedule: str | None = None


def forecast(connection: Connection, account: Account, wanted: Wanted) -> Iterator[Ahead]:
    """All coming sends that are wanted, customer by customer."""
    last: str | None = ""
    while last is not None:
        page = forecast_page(connection, account, wanted, after=last, limit=CUSTOMERS_AT_ONCE)
        yield from page.ahead
        last = page.last


def forecast_page(
    connection: Connection, account: Account, wanted: Wanted, *, after: str, limit: int
) -> Page:
    """Those of the next customers, by name. Caps count a customer's other schedules too."""
    chunk = forecasts.read_live(
        connection,
        account.account,
        customer=wanted.customer,
        schedule=wanted.schedule,
        after=after,
        limit=limit,
    )
    known = _read(connection, account, chunk.live) if chunk.live else _Known({}, {}, {}, {})
    ahead = [
        one
        for _, live in groupby(chunk.live, key=lambda one: one.customer)
        for one in known.ahead(live, account, wanted.until)
        if wanted.schedule in (None, one.schedule)
    ]
    return Page(ahead, chunk.last)


class _Known(NamedTuple):
    """The facts of some customers' enrolments: for each channel, since each may be taken."""

    due: dict[Channel, dict[int, Due]]
    asking: dict[Channel, Asking]
    silent: dict[Channel, bool]
    """Whether nothing may start there now: its channel or the account is paused."""
    schedules: dict[tuple[str, int], Schedule]

    def ahead(self, live: Iterable[Live], account: Account, until: datetime) -> Iterator[Ahead]:
        """What comes for one customer."""
        runs = {run.enrolment: run for one in live if (run := self._run(one, account)) is not None}
        for send in foresee(runs.values(), account.now, until, self._ask):
            due, run = self.due[send.channel][send.enrolment], runs[send.enrolment]
            yield Ahead(
                due.held.customer,
                due.schedule,
                due.version,
                due.reference,
                run.schedule.length,
                run.zone,
                send,
            )

    def _run(self, one: Live, account: Account) -> Run | None:
        due = self.due[Channel.EMAIL].get(one.enrolment)
        if due is None:
            return None  # purged since
        schedule = self.schedules[due.schedule, due.version]
        anchor = due.anchor_date or due.anchor_at
        assert anchor is not None, "the schema has exactly one"
        return Run(
            enrolment=one.enrolment,
            schedule=schedule,
            cursor=one.step,
            anchor=anchor,
            shift_seconds=due.shift_seconds,
            zone=zone_of(due.zone, schedule, account.zone),
            calendar=calendar_for(schedule, account.holidays),
            next=_next(one),
            started=_started(one),
            held=one.held,
            held_until=one.held_until,
            reference=due.reference,
            messaged_at=due.messaged_at,
            messaged_for=due.messaged_for,
        )

    def _ask(self, run: Run, planned: Next, at: datetime) -> Facts:
        due = self.due[planned.channel][run.enrolment]
        held = due.held._replace(
            step=run.cursor, planned_at=planned.planned_at, fallback=planned.fallback
        )
        asked = self.asking[planned.channel].facts(
            due._replace(held=held), run.schedule, run.step, at
        )
        return asked._replace(paused=True) if self.silent[planned.channel] else asked


def _read(connection: Connection, account: Account, live: Sequence[Live]) -> _Known:
    """The facts as they are now."""
    held = [_held(one, account.now) for one in live]
    read = {
        channel: starts.read_due(
            connection, account.account, channel, held, count_back(account, channel, _ALL)
        )
        for channel in Channel
    }
    due = {
        channel: {one.held.enrolment: one for one in found} for channel, (found, _) in read.items()
    }
    runs = {(one.schedule, one.version) for one in due[Channel.EMAIL].values()}
    schedules = {run: read_schedule(connection, account.account, *run) for run in runs}
    templates = _templates(connection, account, schedules.values())
    return _Known(
        due,
        {
            channel: Asking(
                account,
                channel,
                _by(channel, templates),
                paused,
                suppressed(connection, account, channel, found),
            )
            for channel, (found, paused) in read.items()
        },
        {channel: paused.sends_nothing_by(channel) for channel, (_, paused) in read.items()},
        schedules,
    )


def _templates(
    connection: Connection, account: Account, schedules: Iterable[Schedule]
) -> dict[str, TemplateVersion]:
    names = {
        step.by(channel).template
        for schedule in schedules
        for step in schedule.steps
        for channel in Channel
    }
    return newest_templates(connection, account.account, names)


def _by(channel: Channel, templates: dict[str, TemplateVersion]) -> dict[str, TemplateVersion]:
    return {name: one for name, one in templates.items() if one.definition.channel is channel}


def _held(one: Live, now: datetime) -> Held:
    """As a start would hold it; what is not pending is asked of when it is its turn."""
    return Held(
        "",
        one.enrolment,
        one.slot,
        one.customer,
        one.step,
        one.planned_at or now,
        one.attempts or 0,
        one.deferred,
        one.fallback,
    )


def _next(one: Live) -> Next | None:
    if one.channel is None or one.planned_at is None or one.due_at is None:
        return None
    return Next(Channel(one.channel), one.planned_at, one.due_at, one.fallback)


def _started(one: Live) -> Started | None:
    if one.channel is None or one.planned_at is None or one.started_at is None:
        return None
    return Started(Channel(one.channel), one.planned_at, one.started_at, bool(one.anchor_moved))
