"""Invoices, payments, promises, disputes, replies and time, among starts, against a plain planner.

After every step the tables must say what tests/stateful/by_the_day.py says.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest
from concurrency.invariants import broken
from concurrency.parts import Taken, answer, start, started
from harness import START, TEMPLATES, Layby
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from stateful.by_the_day import Came, Customer, Plan, Run
from stateful.test_machine import DATABASE_IS_SLOW

from domain.message import Answer
from storage.audit import run_audit
from storage.outcomes import Outcome

PLANS = {
    "bill": Plan((0, 2, 5), late=frozenset({1})),
    "soft": Plan((1, 3), ends=False, holds=frozenset({"disputed"})),
}
NAMES = ("ann", "bob")
OPENED = START.date()
_numbers = count(1)

names = st.sampled_from(NAMES)
references = st.sampled_from(["r1", "r2"])
about = st.none() | references
days = st.integers(-1, 4)
amounts = st.sampled_from(["40", "60.00", "100"])


def _fact(
    fact: str, *, optional: dict[str, Any] | None = None, **fields: Any
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"fact": st.just(fact), **fields}, optional=optional or {})


OFTEN = st.one_of(
    _fact(
        "payment",
        reference=references,
        full=st.sampled_from([False]),
        optional={"amount": amounts},
    ),
    _fact("promise", reference=references, until=days, optional={"amount": amounts}),
    _fact("dispute", reference=references),
    _fact("dispute", reference=references, outcome=st.just("rejected")),
    _fact("invoice", reference=references, optional={"amount": amounts, "due_date": days}),
)
SELDOM = st.one_of(
    _fact(
        "payment",
        optional={"reference": references, "amount": amounts, "full": st.booleans()},
    ),
    _fact("promise", until=days, optional={"amount": amounts}),
    _fact("dispute", optional={"outcome": st.sampled_from(["upheld", "rejected"])}),
    _fact("dispute", reference=references, outcome=st.just("upheld")),
    _fact("interaction", direction=st.just("inbound"), optional={"reference": references}),
)
FACTS = st.one_of(OFTEN, OFTEN, OFTEN, SELDOM)
"""Most leave something to go on with."""


Act = tuple[str, dict[str, Any]]


def _act(name: str, /, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Act]:
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


_ANSWERS = [Answer.ACCEPTED, Answer.ACCEPTED, Answer.TEMPORARY, Answer.UNKNOWN]
ACTS = st.one_of(
    _act(
        "assign",
        name=names,
        schedule=st.sampled_from(sorted(PLANS)),
        reference=references,
        due=days,
    ),
    *[_act("record", name=names, fact=FACTS)] * 3,
    *[_act("record_while_a_batch_starts", name=names, fact=FACTS)] * 2,
    _act("resume", name=names, hold=st.sampled_from(["paused", "replied"]), reference=about),
    *[_act("release", name=names)] * 2,
    _act("pause", name=names),
    _act("move_and_come_back", name=names, which=st.integers(0, 4)),
    *[_act("travel", hours=st.sampled_from([1, 12, 24, 24, 24, 49]))] * 3,
    *[_act("start")] * 2,
    *[_act("settle", which=st.integers(0, 9), with_=st.sampled_from(_ANSWERS))] * 3,
)
"""What can happen next, the frequent more than once; one rule draws from all, as in machine.py."""


class DebtMachine(RuleBasedStateMachine):
    """One fresh account, and what the planner says of its customers."""

    def __init__(self, layby: Layby) -> None:
        super().__init__()
        self.layby = layby
        self.account = layby.account = f"debts-{next(_numbers)}"
        layby.now = START
        self.plain = {name: Customer(START) for name in NAMES}

    @initialize()
    def open_the_account(self) -> None:
        layby = self.layby
        layby.must("put_account", active_limit=9, email_from="a <a@example.org>", test_clock=START)
        layby.must("put_template", template="hello", definition=TEMPLATES["hello"])
        for schedule, plan in PLANS.items():
            layby.must("put_schedule", schedule=schedule, definition=plan.as_json())
        for name in NAMES:
            profile = {"email": "a@example.org"}
            layby.must("add_customer", customers=[name], profile=profile, place="active")
            for reference in ("r1", "r2"):
                self.assign(name, "bill", reference, 0)
        self.travel(24)

    @rule(act=ACTS)
    def act(self, act: Act) -> None:
        name, arguments = act
        getattr(self, name)(**arguments)

    def assign(self, name: str, schedule: str, reference: str, due: int) -> None:
        day = self._day(due)
        came = self.layby.send(
            "assign_schedule",
            customers=[name],
            schedule=schedule,
            reference=reference,
            due_date=str(day),
        )
        expected = self.plain[name].assign(schedule, PLANS[schedule], reference, day)
        self._same(came, expected)

    def _day(self, days: int) -> date:
        return self.layby.now.date() + timedelta(days=days)

    def _written(self, fact: dict[str, Any]) -> dict[str, Any]:
        dates = {key: str(self._day(fact[key])) for key in ("until", "due_date") if key in fact}
        currency = {"currency": "EUR"} if "amount" in fact else {}
        return {**fact, **dates, **currency}

    def record(self, name: str, fact: dict[str, Any]) -> None:
        written = self._written(fact)
        came = self.layby.send("record", customers=[name], fact=written)
        self._same(came, self.plain[name].record(written))

    def record_while_a_batch_starts(self, name: str, fact: dict[str, Any]) -> None:
        """At once, by two workers. Which came first is seen by whether a send had begun."""
        written = self._written(fact)
        command = self.layby.accept("record", customers=[name], fact=written)
        before = {one.send for one in self._started()}
        with ThreadPoolExecutor(2) as pool:
            starting = pool.submit(start, self.layby.engine, self.account)
            came = pool.submit(self.layby.apply, command).result()
            starting.result()
        plain = self.plain[name]
        begun = {one.flight.enrolment for one in self._started() if one.send not in before}
        acted = self._ran(name, begun)
        for other in self.plain.values():
            if other is not plain or acted:
                other.start()
        self._same(came, plain.record(written))

    def _ran(self, name: str, begun: set[int]) -> bool:
        """Whether a start acted on this customer: a send began, or one was skipped, before it."""
        rows = self.layby.rows(
            "SELECT enrolment, (SELECT count(*) FROM sends s WHERE s.account = e.account "
            "AND s.enrolment = e.enrolment AND s.state = 'skipped') FROM enrolments e "
            "WHERE account = :account AND customer = :name ORDER BY enrolment",
            account=self.account,
            name=name,
        )
        skips = [
            sum(state == "skipped" for _, state, _ in run.ledger) for run in self.plain[name].runs
        ]
        return any(
            enrolment in begun or skipped > known
            for (enrolment, skipped), known in zip(rows, skips, strict=True)
        )

    def resume(self, name: str, hold: str, reference: str | None) -> None:
        of = {"reference": reference} if reference and hold == "replied" else {}
        came = self.layby.send("resume", customers=[name], hold=hold, **of)
        self._same(came, self.plain[name].resume(hold, of.get("reference")))

    def release(self, name: str) -> None:
        """A person sees to all that a person can."""
        self.resume(name, "paused", None)
        self.resume(name, "replied", None)

    def pause(self, name: str) -> None:
        self._same(self.layby.send("pause", customers=[name]), self.plain[name].pause())

    def move_and_come_back(self, name: str, which: int) -> None:
        if which:
            return  # seldom: it takes everything away
        came = self.layby.send("move_to_directory", customers=[name])
        self._same(came, self.plain[name].move_and_come_back())
        self.layby.must("reactivate", customers=[name])

    def travel(self, hours: int) -> None:
        self.layby.travel(timedelta(hours=hours))
        for plain in self.plain.values():
            plain.go_on(self.layby.now)

    def start(self) -> None:
        start(self.layby.engine, self.account)
        for plain in self.plain.values():
            plain.start()

    def settle(self, which: int, with_: Answer) -> None:
        found = self._started()
        if found:
            one = found[which % len(found)]
            answer(self.layby.engine, [one], with_)
            run = self._run(one.flight.enrolment)
            next(c for c in self.plain.values() if run in c.runs).settle(run, with_.value)

    def _started(self) -> list[Taken]:
        return started(self.layby.engine, self.account)

    def _run(self, enrolment: int) -> Run:
        return self._runs()[enrolment]

    def _runs(self) -> dict[int, Run]:
        """By enrolment: each customer's are in the order that they were assigned in."""
        rows = self.layby.rows(
            "SELECT customer, enrolment FROM enrolments WHERE account = :a ORDER BY enrolment",
            a=self.account,
        )
        waiting = {name: iter(plain.runs) for name, plain in self.plain.items()}
        return {enrolment: next(waiting[name]) for name, enrolment in rows}

    def _same(self, came: Outcome, expected: Came) -> None:
        told = Came(came.state, came.cancelled, came.started)
        assert told == expected, (told, expected)

    @invariant()
    def tables_say_what_the_planner_says(self) -> None:
        runs = self._runs()
        assert self._read() == {
            enrolment: (
                run.reference,
                run.step,
                run.held,
                run.end,
                run.pending,
                run.due,
                run.started,
                [(step, state) for step, state, _ in run.ledger],
            )
            for enrolment, run in runs.items()
        }
        statuses = self.layby.rows(
            "SELECT customer, status FROM slots WHERE account = :a", a=self.account
        )
        assert dict(statuses) == {name: plain.status for name, plain in self.plain.items()}

    def _read(self) -> dict[int, tuple[Any, ...]]:
        rows = self.layby.rows(
            """
            SELECT e.enrolment, e.reference, e.step, e.held IS NOT NULL, e.end_reason,
                   p.planned_at, p.due_at,
                   EXISTS (SELECT 1 FROM started r WHERE r.account = e.account
                           AND r.enrolment = e.enrolment),
                   ARRAY(SELECT s.step || ' ' || s.state FROM sends s WHERE s.account = e.account
                         AND s.enrolment = e.enrolment ORDER BY s.step)
            FROM enrolments e LEFT JOIN pending p USING (account, enrolment)
            WHERE e.account = :a
            """,
            a=self.account,
        )
        return {
            row[0]: (*row[1:8], [(int(one.split()[0]), one.split()[1]) for one in row[8]])
            for row in rows
        }

    @invariant()
    def nothing_is_broken(self) -> None:
        assert broken(self.layby.engine, self.account) == {}

    def teardown(self) -> None:
        with self.layby.engine.connect() as connection:
            found = [r for r in run_audit(connection, self.account) if r.found]
        assert [(one.check.name, one.violations) for one in found] == []


def run(layby: Layby, *, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        lambda: DebtMachine(layby),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=DATABASE_IS_SLOW,
        ),
    )


def test_any_debts_go_as_the_plain_planner_says(layby: Layby) -> None:
    run(layby, examples=4, steps=25)


@pytest.mark.soak
def test_debts_of_a_long_time_go_as_the_plain_planner_says(layby: Layby) -> None:
    run(layby, examples=200, steps=80)
