"""Invoices, payments, promises, disputes, words and schedule edits among starts and answers.

After every step the tables must say what the plain planner (tests/stateful/plain) says.
"""

from collections.abc import Callable
from datetime import date, timedelta
from itertools import count
from typing import Any, NamedTuple

from concurrency.interleave import Interleaving, until
from concurrency.invariants import broken
from concurrency.parts import FakeClock, Taken, answer, start, started
from harness import KEY, START, TEMPLATES, Layby
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from stateful import debts_tables as tables
from stateful.debts_acts import ACTS, PEOPLE, VERSIONS, Act, Command
from stateful.plain.account import Account
from stateful.plain.customer import Came
from stateful.plain.run import Run
from stateful.plain.sending import AGAIN_AFTER, answer_late, settle

from domain.message import Answer, Channel
from scheduler.ticks import Watch
from storage.audit import run_audit
from storage.installation import recipient_hash
from storage.outcomes import Outcome

_numbers = count(1)
RECIPIENTS = {recipient_hash(KEY, at): at for _, where in PEOPLE.values() for at in where.values()}
TO = {"email": "address", "sms": "number"}
WRITES = {
    "start": "INSERT INTO started",
    "settle": "DELETE FROM started",
    "rescue": "DELETE FROM started",
}
"""By which a transaction that did something is known, and held open."""


class Sending(NamedTuple):
    """A start, an answer or a rescue; and what the planner makes of it afterwards."""

    work: Callable[[], object]
    plainly: Callable[[], None]


class DebtMachine(RuleBasedStateMachine):
    """One fresh account, and what the planner says of its customers."""

    def __init__(self, layby: Layby, clock: FakeClock) -> None:
        super().__init__()
        self.layby, self.clock = layby, clock
        self.account = layby.account = f"debts-{next(_numbers)}"
        layby.now = START
        self.plain = Account(START)
        self.watch = Watch()
        self.attempts: dict[int, tuple[Taken, Run, int]] = {}
        """Of each send: what its worker remembers, and which attempt of which run it is."""

    @initialize()
    def open_the_account(self) -> None:
        layby = self.layby
        layby.must(
            "put_account",
            active_limit=9,
            email_from="a <a@example.org>",
            sms_from="A",
            test_clock=START,
            # What is late goes out at once: tests/unit/workers/test_policy.py has that rule.
            rules={"apart": False},
        )
        for template, definition in TEMPLATES.items():
            layby.must("put_template", template=template, definition=definition)
        for schedule in VERSIONS:
            self.edit(schedule, 0, None)
        for name, (zone, at) in PEOPLE.items():
            profile = {"email": at["email"], "zone": zone}
            if "sms" in at:
                profile["phone"] = at["sms"]
            layby.must("add_customer", customers=[name], profile=profile, place="active")
            self.plain.add(name, zone, at)
        for schedule, reference in (("bill", "r1"), ("bill", "r2"), ("soft", "r2")):
            fields = {"schedule": schedule, "reference": reference, "due_date": 1}
            self.command_of_all("assign_schedule", fields)
        self.travel(25)

    @rule(act=ACTS)
    def act(self, act: Act) -> None:
        name, arguments = act
        getattr(self, name)(**arguments)

    # Commands.

    def command(self, name: str, command: Command) -> None:
        kind, fields = self._written(command)
        came = self.layby.send(kind, customers=[name], **fields)
        self._same(came, self.plain.apply(kind, name, fields))

    def command_of_all(self, kind: str, fields: dict[str, Any]) -> None:
        _, written = self._written((kind, fields))
        self.layby.must(kind, customers=list(PEOPLE), **written)
        for name in PEOPLE:
            self.plain.apply(kind, name, written)

    def release(self, name: str) -> None:
        """A person sees to all that a person can."""
        if not self.plain.customers[name].active:
            self.command(name, ("reactivate", {}))
            fields = {"schedule": "bill", "reference": "r1", "due_date": 1}
            self.command(name, ("assign_schedule", fields))
        self.command(name, ("resume", {}))
        self.command(name, ("resume", {"hold": "replied"}))

    def edit(self, schedule: str, which: int, name: str | None) -> None:
        """Another version of a schedule, and somebody who is moved to it."""
        versions = VERSIONS[schedule]
        plan = versions[which % len(versions)]
        self.layby.must("put_schedule", schedule=schedule, definition=plan.as_json())
        self.plain.put_schedule(schedule, plan)
        if name:
            self.command(name, ("move_to_version", {"schedule": schedule}))

    def of_a_recipient(self, kind: str, recipient: tuple[str, str], scope: dict[str, str]) -> None:
        channel, at = recipient
        consent = {"source": "START", "at": "2020-01-01T00:00:00Z"}
        fields = {"consent": consent} if kind == "opt_in" else {}
        came = self.layby.send(kind, **{TO[channel]: at}, **scope, **fields)
        self._same(came, self.plain.apply_to_recipient(kind, channel, at, **scope))

    def while_it_is_out(self, which: int, command: Command, with_: Answer, late_hours: int) -> None:
        """A command for whom something is in progress, and about that; then the answer comes."""
        if not self._started():
            self.travel_to_what_is_next(late_hours)
            for channel in Channel:
                self.start(channel)
        if out := self._started():
            one = self.attempts[out[which % len(out)].send][0]
            run = self._run(one)
            kind, fields = command
            self.command(self.plain.whose(run).name, (kind, _about(run, fields)))
            answer(self.layby.engine, [one], with_)
            self._settled([one], with_)

    def break_a_promise(self, name: str, fact: dict[str, Any]) -> None:
        """For all that is owed; the next day is over, wherever the customer is."""
        self.command(name, ("record", {"fact": fact}))
        self.travel(25)

    def travel_to_what_is_next(self, late_hours: int) -> None:
        runs = [run for who in self.plain.customers.values() for run in who.live]
        if due := [run.due for run in runs if run.due]:
            self._travel(max(min(due) - self.layby.now, timedelta()) + timedelta(hours=late_hours))

    def travel(self, hours: int) -> None:
        self._travel(timedelta(hours=hours))

    def _travel(self, by: timedelta) -> None:
        self.layby.travel(by)
        self.plain.go_on(self.layby.now)

    # Sends.

    def start(self, channel: Channel) -> None:
        self._at_once("start", {"channel": channel})

    def settle(self, which: int, with_: Answer) -> None:
        self._at_once("settle", {"which": which, "with_": with_})

    def rescue(self) -> None:
        self._at_once("rescue", {})

    def _at_once(self, act: str, arguments: dict[str, Any]) -> None:
        sending = self._sending(act, **arguments)
        sending.work()
        sending.plainly()

    def settle_late_or_again(self, which: int, with_: Answer) -> None:
        out = {one.send for one in self._started()}
        if over := [send for send in self.attempts if send not in out]:
            send = over[which % len(over)]
            one, run, attempt = self.attempts[send]
            answer(self.layby.engine, [one], with_)
            exhausted = with_ is Answer.TEMPORARY and attempt > len(AGAIN_AFTER)
            answer_late(run, send, with_.value, exhausted=exhausted)

    # Two at once: who comes second waits for the first, or passes by whom that has locked.

    def command_holds(self, name: str, command: Command, meanwhile: Act) -> None:
        """The command has done all but commit when a start, an answer or a rescue comes."""
        kind, fields = self._written(command)
        accepted = self.layby.accept(kind, customers=[name], **fields)
        act, arguments = meanwhile
        sending = self._sending(act, **arguments, but_for=name)
        with Interleaving(self.layby.engine) as between:
            applies = lambda: self.layby.apply(accepted)  # noqa: E731 - it has no other name
            first = between.stopped(applies, having="UPDATE command_targets t")
            second = between.run(sending.work)
            between.until_done_or_waiting(second, for_=first)
            came = first.go().result()
            second.result()
        if act == "start":
            sending.plainly()
        self._same(came, self.plain.apply(kind, name, fields))
        if act != "start":
            sending.plainly()

    def command_waits(self, name: str, command: Command, for_: Act) -> None:
        """A start, an answer or a rescue has done all but commit when the command comes."""
        kind, fields = self._written(command)
        accepted = self.layby.accept(kind, customers=[name], **fields)
        act, arguments = for_
        sending = self._sending(act, **arguments)
        with Interleaving(self.layby.engine) as between:
            first = between.run(sending.work, stop_having=WRITES[act])
            until(lambda: first.stopped or first.done, "it has done all but commit")
            second = between.run(lambda: self.layby.apply(accepted))
            between.until_done_or_waiting(second, for_=first)
            passed_by = act != "start" and first.stopped and second.done
            first.go().result()
            came = second.result()
        if passed_by:
            # What is out under a slot that is gone holds up nobody, and is still in progress.
            self._same(came, self.plain.apply(kind, name, fields))
            sending.plainly()
        else:
            sending.plainly()
            self._same(came, self.plain.apply(kind, name, fields))

    def _sending(self, act: str, **of: Any) -> Sending:
        engine, out = self.layby.engine, self._started()
        if act == "start":
            return Sending(
                lambda: start(engine, self.account, of["channel"]),
                lambda: self._begun(of["channel"], of.get("but_for")),
            )
        if act == "rescue":
            return Sending(self._rescue, lambda: self._settled(out, Answer.UNKNOWN))
        # A worker answers by what it read when it began, and not by what was moved since.
        chosen = [self.attempts[out[of["which"] % len(out)].send][0]] if out else []
        return Sending(
            lambda: answer(engine, chosen, of["with_"]),
            lambda: self._settled(chosen, of["with_"]),
        )

    def _rescue(self) -> None:
        """Whoever watches has seen what is out for a whole lease."""
        self.watch.rescue(self.layby.engine)
        self.clock.pass_lease()
        self.watch.rescue(self.layby.engine)

    # The parts of a step.

    def _written(self, command: Command) -> Command:
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
        return self.layby.now.date() + timedelta(days=days)

    def _settled(self, sends: list[Taken], with_: Answer) -> None:
        for one in sends:
            run = self._run(one)
            settle(self.plain.whose(run), run, with_.value)

    def _started(self) -> list[Taken]:
        return started(self.layby.engine, self.account)

    def _begun(self, channel: Channel, but_for: str | None) -> None:
        begun = self.plain.start(channel.value, but_for)
        for one in self._started():
            if one.send not in self.attempts:
                run = self._keyed()[one.flight.enrolment]
                assert run in begun, one
                run.send = one.send
                self.attempts[one.send] = one, run, run.attempts
        assert all(run.send is not None for run in begun)

    def _run(self, one: Taken) -> Run:
        return self.attempts[one.send][1]

    def _keyed(self) -> dict[int, Run | None]:
        """By enrolment: each customer's are in the order that they began in."""
        rows = self.layby.rows(
            "SELECT customer, enrolment FROM enrolments WHERE account = :a ORDER BY enrolment",
            a=self.account,
        )
        runs = {name: iter(who.runs) for name, who in self.plain.customers.items()}
        return {enrolment: next(runs[name], None) for name, enrolment in rows}

    def _same(self, came: Outcome, expected: Came) -> None:
        assert (came.state, came.cancelled, came.started) == expected

    # What must hold.

    @invariant()
    def tables_say_what_the_planner_says(self) -> None:
        expected = tables.runs_plainly(self._keyed(), self.plain)
        assert len(expected) == sum(len(who.runs) for who in self.plain.customers.values())
        assert tables.differences(tables.runs(self.layby), expected) == ""
        assert (
            tables.differences(tables.people(self.layby), tables.people_plainly(self.plain)) == ""
        )
        assert tables.differences(tables.words(self.layby, RECIPIENTS), self.plain.words.said) == ""

    def teardown(self) -> None:
        """All that is out is settled; then the audit finds nothing."""
        answer(self.layby.engine, self._started(), Answer.ACCEPTED)
        assert broken(self.layby.engine, self.account) == {}
        with self.layby.engine.connect() as connection:
            found = [r for r in run_audit(connection, self.account) if r.found]
        assert [(one.check.name, one.violations) for one in found] == []


def _about(run: Run, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a command, of this run where they say of what."""
    about = {"reference": run.reference, "schedule": run.schedule}
    if isinstance(fact := fields.get("fact"), dict):
        return {"fact": _about(run, fact)}
    return fields | {key: of for key, of in about.items() if key in fields}
