"""Facts, words, schedule edits, changes of zone, rules, windows and holidays among starts.

Two accounts have customers, schedules and debts of the same names, and addresses in common. After
every step the tables of both must say what the plain planner (tests/stateful/plain) says.
"""

from datetime import timedelta
from itertools import count
from typing import Any

from concurrency.parts import FakeClock
from harness import Layby
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from sqlalchemy import text
from stateful.debts_acts import ACTS, Act, Command
from stateful.debts_pairs import Pairs
from stateful.debts_plans import ACCOUNTS, OPENED_AT
from stateful.debts_side import Side
from stateful.plain.calendar import Calendar
from stateful.plain.rules import Rules
from stateful.plain.run import Run

from domain.message import Answer, Channel
from scheduler.ticks import Watch, sweep
from storage.audit import run_audit

CLOCKS = text("UPDATE accounts SET test_now = :now WHERE account = ANY(:accounts)")
_numbers = count(1)


class DebtMachine(Pairs):
    """Two fresh accounts, and what the planner says of their customers."""

    def __init__(self, layby: Layby, clock: FakeClock) -> None:
        super().__init__()
        self.layby, self.clock, self.watch = layby, clock, Watch()
        layby.now = OPENED_AT
        number = next(_numbers)
        self.sides = [Side(layby, f"debts-{number}-{n}") for n, _ in enumerate(ACCOUNTS)]
        self.side = self.sides[0]

    @initialize()
    def open_the_accounts(self) -> None:
        for side, opened in zip(self.sides, ACCOUNTS, strict=True):
            side.open(opened)
        self.travel(25)

    @rule(act=ACTS, whose=st.sampled_from([0, 0, 0, 1]))
    def act(self, act: Act, whose: int) -> None:
        self.side = self.sides[whose]
        name, arguments = act
        getattr(self, name)(**arguments)

    # Commands.

    def command(self, name: str, command: Command) -> None:
        self.side.command(name, command)

    def command_about(self, which: int, command: Command) -> None:
        """For whom something is planned, and about that."""
        if pending := self.side.plain.pending:
            self._about(pending[which % len(pending)], command)

    def _about(self, run: Run, command: Command) -> None:
        kind, fields = command
        self.side.command(self.side.plain.whose(run).name, (kind, _about(run, fields)))

    def release(self, name: str) -> None:
        """A person sees to all that a person can."""
        side = self.side
        if not side.plain.customers[name].active:
            side.command(name, ("reactivate", {}))
            fields = {"schedule": "bill", "reference": "r1", "due_date": 1}
            side.command(name, ("assign_schedule", fields))
        side.command(name, ("resume", {}))
        side.command(name, ("resume", {"hold": "replied"}))

    def edit(self, schedule: str, which: int) -> None:
        """Another version of a schedule, and everybody is moved to it."""
        self.side.edit(schedule, which)
        self.side.command_of_all(("move_to_version", {"schedule": schedule}))

    def of_a_recipient(self, kind: str, recipient: tuple[str, str], scope: dict[str, str]) -> None:
        self.side.command_of_recipient(kind, recipient, scope)

    def put_rules(self, **of: Any) -> None:
        self.side.put(rules=Rules(**of))

    def put_zone(self, zone: str) -> None:
        self.side.put(zone=zone)

    def put_calendar(self, calendar: Calendar) -> None:
        self.side.put(calendar=calendar)

    def while_it_is_out(self, which: int, command: Command, with_: Answer, late_hours: int) -> None:
        """A command for whom something is in progress, and about that; then the answer comes."""
        side = self.side
        if not side.out():
            self.travel_to_what_is_next(late_hours)
            for channel in Channel:
                self.start(channel)
        if out := side.out():
            one = side.attempts[out[which % len(out)].send].one
            self._about(side.run(one), command)
            side.answer([one], with_)
            side.settled([one], with_)

    # Time.

    def break_a_promise(self, name: str, fact: dict[str, Any]) -> None:
        """For all that is owed; the next day is over, wherever the customer is."""
        self.command(name, ("record", {"fact": fact}))
        self.travel(25)

    def travel_to_what_is_next(self, late_hours: int) -> None:
        if due := [run.due for run in self.side.plain.pending if run.due]:
            self._travel(max(min(due) - self.layby.now, timedelta()) + timedelta(hours=late_hours))

    def travel(self, hours: int) -> None:
        self._travel(timedelta(hours=hours))

    def _travel(self, by: timedelta) -> None:
        """Both clocks at once; tests/unit/ops/test_travel.py has the command that does."""
        now = self.layby.now = self.layby.now + by
        with self.layby.engine.begin() as connection:
            accounts = [side.account for side in self.sides]
            connection.execute(CLOCKS, {"now": now, "accounts": accounts})
        for side in self.sides:
            side.go_on(now)

    # Sends.

    def start(self, channel: Channel) -> None:
        self._at_once("start", {"channel": channel})

    def settle(self, which: int, with_: Answer) -> None:
        self._at_once("settle", {"which": which, "with_": with_})

    def rescue(self) -> None:
        self._at_once("rescue", {})

    def _at_once(self, act: str, arguments: dict[str, Any]) -> None:
        sending = self.sending(act, **arguments)
        sending.work()
        sending.plainly()

    def go_out(self, late_hours: int, answers: tuple[Answer, ...]) -> None:
        """What is due the next two times, in both accounts, and what comes of it."""
        if not self.side.plain.pending:
            self.side.begin_anew()
        for _ in range(2):
            self.travel_to_what_is_next(late_hours)
            for side in self.sides:
                side.go_out(answers)

    def settle_late_or_again(self, which: int, with_: Answer) -> None:
        self.side.answered_late(which, with_)

    # What must hold.

    @invariant()
    def tables_say_what_the_planner_says(self) -> None:
        for side in self.sides:
            assert side.differences() == ""

    def teardown(self) -> None:
        for side in self.sides:
            side.close()
        sweep(self.layby.engine)
        with self.layby.engine.connect() as connection:
            found = [one for one in run_audit(connection) if one.found]
        assert [(one.check.name, one.violations) for one in found] == []


def _about(run: Run, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a command, of this run where they say of what."""
    about = {"reference": run.reference, "schedule": run.schedule}
    if isinstance(fact := fields.get("fact"), dict):
        return {"fact": _about(run, fact)}
    return fields | {key: of for key, of in about.items() if key in fields}
