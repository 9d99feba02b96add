"""One account, in the engine and in the plain planner, and whether both say the same of it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from concurrency.invariants import broken
from concurrency.parts import Taken, answer, start, started
from harness import KEY, TEMPLATES, Layby
from stateful import debts_tables as tables
from stateful.debts_acts import Command
from stateful.debts_plans import (
    CALENDARS,
    CAPS,
    LAW,
    NUMBERS,
    OPENED_AT,
    PEOPLE,
    QUIET,
    VERSIONS,
    Opened,
)
from stateful.plain.account import Account
from stateful.plain.calendar import Calendar
from stateful.plain.customer import Came
from stateful.plain.rules import Rules
from stateful.plain.run import Run
from stateful.plain.sending import AGAIN_AFTER, answer_late, settle

from domain.message import Answer, Channel
from storage.installation import recipient_hash
from storage.outcomes import Outcome
from workers.holds import release_some

ADDRESSES = [at["email"] for *_, at in PEOPLE.values()]
RECIPIENTS = {recipient_hash(KEY, at): at for at in (*ADDRESSES, *NUMBERS) if at}
TO = {"email": "address", "sms": "number"}
CONSENT = {"source": "START", "at": "2020-01-01T00:00:00Z"}


class Attempt(NamedTuple):
    """A send: what its worker remembers, and which attempt of which run it is."""

    one: Taken
    run: Run
    number: int
    zone: ZoneInfo


class Side:
    """Every command, start and answer of one account is done twice: really, and plainly."""

    def __init__(self, layby: Layby, account: str) -> None:
        self._layby = layby
        self.account = account
        self.plain = Account(OPENED_AT)
        self.attempts: dict[int, Attempt] = {}

    @property
    def layby(self) -> Layby:
        """As this account has it."""
        self._layby.account = self.account
        return self._layby

    def open(self, opened: Opened) -> None:
        """All at once: what is accepted before anything is applied is applied in a few chunks."""
        layby, plain = self.layby, self.plain
        accepted = [layby.accept(kind, **fields) for kind, fields in _opening(opened)]
        layby.ring()
        assert {layby.outcome(one).state for one in accepted} == {"applied"}
        plain.put(opened.zone, opened.calendar, opened.rules)
        for schedule, versions in VERSIONS.items():
            plain.put_schedule(schedule, versions[0])
        for name, (zone, country, at) in PEOPLE.items():
            plain.add(name, zone, country, at)
            for run in opened.runs:
                plain.apply("assign_schedule", name, run)

    # Commands.

    def command(self, name: str, command: Command) -> None:
        kind, fields = self.written(command)
        came = self.layby.send(kind, customers=[name], **fields)
        self.same(came, self.plain.apply(kind, name, fields))

    def command_of_all(self, command: Command) -> None:
        kind, fields = self.written(command)
        came = self.layby.send(kind, customers=list(PEOPLE), **fields)
        each = [self.plain.apply(kind, name, fields) for name in PEOPLE]
        states = {one.state for one in each}
        state = "partly" if len(states) > 1 else states.pop()
        counts = sum(one.cancelled for one in each), sum(one.started for one in each)
        self.same(came, Came(state, *counts))

    def command_of_recipient(
        self, kind: str, recipient: tuple[str, str], scope: dict[str, str]
    ) -> None:
        channel, at = recipient
        fields = {"consent": CONSENT} if kind == "opt_in" else {}
        came = self.layby.send(kind, **{TO[channel]: at}, **scope, **fields)
        self.same(came, self.plain.apply_to_recipient(kind, channel, at, **scope))

    def edit(self, schedule: str, which: int) -> None:
        """Another version of a schedule."""
        versions = VERSIONS[schedule]
        plan = versions[which % len(versions)]
        self.layby.must("put_schedule", schedule=schedule, definition=plan.as_json())
        self.plain.put_schedule(schedule, plan)

    def begin_anew(self) -> None:
        """Everybody on every schedule, each in its next version, under the next rules."""
        number = len(self.plain.versions["bill"])
        rules = Rules(
            CAPS[number % len(CAPS)],
            QUIET[number % len(QUIET)],
            collector=bool(number % 2),
            law=LAW[number % len(LAW)],
            apart=bool(number % 3),
        )
        self.put(calendar=CALENDARS[number % len(CALENDARS)], rules=rules)
        for schedule, versions in VERSIONS.items():
            self.edit(schedule, number)
            due = {} if versions[0].by_moment else {"due_date": 1}
            run = {"schedule": schedule, "reference": "r2"} | due
            self.command_of_all(("assign_schedule", run))

    def put(
        self,
        zone: str | None = None,
        calendar: Calendar | None = None,
        rules: Rules | None = None,
    ) -> None:
        fields: dict[str, Any] = {"zone": zone} if zone else {}
        fields |= {"holidays": calendar.as_json()} if calendar is not None else {}
        fields |= {"rules": rules.as_json()} if rules is not None else {}
        self.layby.must("put_account", **fields)
        self.plain.put(zone, calendar, rules)

    def go_on(self, now: datetime) -> None:
        """Its clock is set: what that releases."""
        while release_some(self._layby.engine, self.account, len(PEOPLE)):
            pass
        self.plain.go_on(now)

    def written(self, command: Command) -> Command:
        """With days in place of their distance from today, and amounts in a currency."""
        kind, fields = command
        if kind == "record":
            fact = self._dated(fields["fact"])
            return kind, {"fact": fact | ({"currency": "EUR"} if "amount" in fact else {})}
        return kind, self._dated(fields)

    def _dated(self, fields: dict[str, Any]) -> dict[str, Any]:
        dates = [key for key in ("until", "due_date") if key in fields]
        return fields | {key: str(self._day(fields[key])) for key in dates}

    def _day(self, days: int) -> date:
        return self._layby.now.date() + timedelta(days=days)

    def same(self, came: Outcome, expected: Came) -> None:
        assert (came.state, came.cancelled, came.started) == expected

    # Sends.

    def started(self) -> list[Taken]:
        return started(self._layby.engine, self.account)

    def go_out(self, answers: tuple[Answer, ...]) -> None:
        """All that is due, answered in turn before anything else happens."""
        for channel in Channel:
            if self.plain.due(channel.value):
                start(self._layby.engine, self.account, channel)
                self.begun(channel)
        out = self.out()
        for number, with_ in enumerate(answers):
            sends = out[number :: len(answers)]
            self.answer(sends, with_)
            self.settled(sends, with_)

    def out(self) -> list[Taken]:
        """What is started and not settled, if anything is."""
        return self.started() if self.plain.started else []

    def begun(self, channel: Channel, but_for: str | None = None) -> None:
        """A start was; the planner's, and which attempt each has become."""
        begun = self.plain.start(channel.value, but_for)
        new = [one for one in self.started() if one.send not in self.attempts]
        keyed = self._keyed(tables.enrolments(self._layby, self.account)) if new else {}
        for one in new:
            run = keyed[one.flight.enrolment]
            assert run in begun, one
            run.send = one.send
            self.attempts[one.send] = Attempt(one, run, run.attempts, run.zone)
        assert all(run.send is not None for run in begun)

    def answer(self, sends: list[Taken], with_: Answer) -> None:
        answer(self._layby.engine, sends, with_)

    def settled(
        self, sends: list[Taken], with_: Answer, zones: Mapping[int, ZoneInfo] | None = None
    ) -> None:
        """`zones`: of each send, if whoever answers knows another than its worker did."""
        for one in sends:
            run = self.run(one)
            zone = (zones or {}).get(one.send, self.attempts[one.send].zone)
            settle(self.plain.whose(run), run, with_.value, zone)

    def answered_late(self, which: int, with_: Answer) -> None:
        out = {one.send for one in self.out()}
        if over := [send for send in self.attempts if send not in out]:
            send = over[which % len(over)]
            attempt = self.attempts[send]
            self.answer([attempt.one], with_)
            exhausted = with_ is Answer.TEMPORARY and attempt.number > len(AGAIN_AFTER)
            answer_late(attempt.run, send, with_.value, exhausted=exhausted)

    def run(self, one: Taken) -> Run:
        return self.attempts[one.send].run

    def zones(self, sends: list[Taken]) -> dict[int, ZoneInfo]:
        """As they are now."""
        return {one.send: self.run(one).zone for one in sends}

    def _keyed(self, rows: Iterable[tuple[str, int]]) -> dict[int, Run | None]:
        """By enrolment: each customer's are in the order that they began in."""
        runs = {name: iter(who.runs) for name, who in self.plain.customers.items()}
        return {enrolment: next(runs[name], None) for name, enrolment in sorted(rows, key=_second)}

    # What must hold.

    def differences(self) -> str:
        """Between the tables and the planner; none."""
        with self._layby.engine.connect() as connection:
            found = tables.read(connection, self.account, RECIPIENTS)
        keyed = self._keyed((row[0], enrolment) for enrolment, row in found.runs.items())
        assert None not in keyed.values(), "no more runs than the planner has"
        expected = tables.said_plainly(keyed, self.plain)
        return "\n".join(map(tables.differences, found, expected)).strip()

    def close(self) -> None:
        """All that is out is settled."""
        self.answer(self.started(), Answer.ACCEPTED)
        assert broken(self._layby.engine, self.account) == {}


def _opening(opened: Opened) -> Iterator[tuple[str, dict[str, Any]]]:
    yield (
        "put_account",
        {
            "active_limit": 9,
            "email_from": "a <a@example.org>",
            "sms_from": "A",
            "test_clock": OPENED_AT,
            "zone": opened.zone,
            "holidays": opened.calendar.as_json(),
            "rules": opened.rules.as_json(),
        },
    )
    for template, definition in TEMPLATES.items():
        yield "put_template", {"template": template, "definition": definition}
    for schedule, versions in VERSIONS.items():
        yield "put_schedule", {"schedule": schedule, "definition": versions[0].as_json()}
    for name, (zone, country, at) in PEOPLE.items():
        told = {"zone": zone, "country": country, "email": at["email"], "phone": at.get("sms")}
        profile = {key: value for key, value in told.items() if value}
        yield "add_customer", {"customers": [name], "profile": profile, "place": "active"}
    for run in opened.runs:
        yield "assign_schedule", {"customers": list(PEOPLE), **run}


def _second(pair: tuple[str, int]) -> int:
    return pair[1]
