"""The cases tried on PostgreSQL at READ COMMITTED (DESIGN, section 4), each with its bug planted.

The first test of each pair shows what the rule gives; the second plants the bug in the very
statement, and shows that the same scenario then breaks the guarantee.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from uuid import uuid4

import pytest
from concurrency.interleave import (
    CrashedError,
    Interleaving,
    Task,
    backend,
    errors_by_state,
    planted,
    snapshot_taken_early,
    until,
    waits_for,
)
from concurrency.invariants import broken
from concurrency.parts import answer, apply_for, start, started
from harness import Layby
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from domain.message import Answer, Channel, Message
from storage import customers, enrolments, holds, settles
from storage.database import Connection, Engine
from storage.enrolments import Plan
from storage.outcomes import Outcome
from storage.settles import End, Settled

TAKES = "INSERT INTO started"
SETTLES = "DELETE FROM started"
SILENCES = "UPDATE command_targets t"
FREED = "DELETE FROM slots"
FOREIGN_KEY = "23503"


def one_settled(layby: Layby) -> None:
    """Settle all that is started as accepted, which plans the next steps."""
    answer(layby.engine, started(layby.engine, layby.account), Answer.ACCEPTED)


# A plan first, uncommitted; and one CTE for lock and cancel.


def meet_an_uncommitted_plan(layby: Layby, between: Interleaving, kind: str) -> Outcome:
    """The next step is planned and not committed when a silence comes."""
    start(layby.engine, layby.account)
    plan = between.stopped(lambda: one_settled(layby), having=SETTLES)
    command = layby.accept(kind, customers=["ann"])
    silence = between.waiting(lambda: layby.apply(command), for_=plan)
    plan.go().result()
    return silence.result()


def test_plan_first_uncommitted_and_the_move_waits_then_cancels_both(
    people: Layby, between: Interleaving
) -> None:
    outcome = meet_an_uncommitted_plan(people, between, "move_to_directory")
    assert (outcome.cancelled, outcome.started) == (1, 0)
    assert people.ledger("ann") == [(0, "sent", "accepted"), (1, "cancelled", "moved")]
    assert broken(people.engine) == {}


@contextmanager
def one_cte_locks_and_cancels(engine: Engine) -> Iterator[None]:
    """Planted: the slots are locked by the statement that cancels, in a CTE of their own."""
    locked = (
        "WITH locked AS (SELECT account, slot FROM slots WHERE account = %(account)s "
        "AND slot = ANY(CAST(%(slots)s AS bigint[])) ORDER BY slot FOR UPDATE), "
    )
    with (
        planted(engine, "ORDER BY slot FOR UPDATE", "ORDER BY slot"),
        planted(engine, "WITH judged AS MATERIALIZED (", locked + "judged AS MATERIALIZED ("),
        planted(
            engine,
            "AND s.slot = of.slot, LATERAL",
            "AND s.slot = of.slot AND s.slot IN (SELECT slot FROM locked), LATERAL",
        ),
    ):
        yield


def test_one_cte_that_locks_and_cancels_leaks(people: Layby, between: Interleaving) -> None:
    """Its snapshot is older than its locks: what was planned while it waited, it never sees."""
    with one_cte_locks_and_cancels(people.engine):
        meet_an_uncommitted_plan(people, between, "pause")
    assert people.one("SELECT count(*) FROM pending WHERE customer = 'ann'") == 1
    assert "G1 nothing is pending for a customer who is not active, or is paused" in broken(
        people.engine
    )
    people.travel(timedelta(days=1))
    handed = start(people.engine, people.account, Channel.SMS).values()
    assert any("ann" in message.text for message in handed)


def test_pause_in_two_statements_cancels_what_was_planned_while_it_waited(
    people: Layby, between: Interleaving
) -> None:
    outcome = meet_an_uncommitted_plan(people, between, "pause")
    assert outcome.cancelled == 1
    assert people.one("SELECT count(*) FROM pending WHERE customer = 'ann'") == 0


def test_move_that_leaks_is_stopped_by_the_schema(people: Layby, between: Interleaving) -> None:
    """G3: with the slot unlocked the move misses a plan, and fails on its key.

    It has changed nothing then; tried again, it finds the plan.
    """
    with (
        planted(people.engine, "ORDER BY slot FOR UPDATE", "ORDER BY slot"),
        errors_by_state(people.engine) as errors,
    ):
        outcome = meet_an_uncommitted_plan(people, between, "move_to_directory")
    assert errors == {FOREIGN_KEY: 1}
    assert (outcome.state, outcome.cancelled) == ("applied", 1)
    assert people.ledger("ann") == [(0, "sent", "accepted"), (1, "cancelled", "moved")]
    assert broken(people.engine) == {}


# A move first, and an insert that waits for it.


class Insert:
    """A send planned at storage's own level, by a transaction that locks the slot first."""

    def __init__(self, layby: Layby) -> None:
        self.layby = layby
        start(layby.engine, layby.account)
        with layby.engine.begin() as connection:
            slot, enrolment = connection.execute(
                text("SELECT slot, enrolment FROM enrolments WHERE customer = 'ann'")
            ).one()
            connection.execute(text("DELETE FROM started WHERE customer = 'ann'"))
        self.slot: int = slot
        self.plan = Plan(enrolment, 0, "email", layby.now, layby.now)

    def __call__(self) -> None:
        with self.layby.engine.begin() as connection:
            settles.lock_slots(connection, self.layby.account, [self.slot])
            enrolments.plan(connection, self.layby.account, [self.plan])


def move_meets(layby: Layby, between: Interleaving, insert: Insert) -> Task[None]:
    command = layby.accept("move_to_directory", customers=["ann"])
    move = between.stopped(lambda: layby.apply(command), having=SILENCES)
    waiting = between.waiting(insert, for_=move)
    assert move.go().result().state == "applied"
    return waiting


def test_move_first_and_a_guarded_insert_adds_nothing(people: Layby, between: Interleaving) -> None:
    move_meets(people, between, Insert(people)).result()
    assert people.rows("SELECT 1 FROM pending WHERE customer = 'ann'") == []


UNGUARDED = "WHERE e.slot IS NOT NULL AND e.held IS NULL AND e.step = p.step"


def test_move_first_and_an_unguarded_insert_fails_on_the_foreign_key(
    people: Layby, between: Interleaving
) -> None:
    """Planted: the insert trusts the slot that it knew. G3 holds by schema all the same."""
    insert = Insert(people)
    with (
        planted(
            people.engine,
            "e.enrolment, e.slot, e.customer, e.step, p.channel",
            f"e.enrolment, {insert.slot}, e.customer, p.step, p.channel",
        ),
        planted(people.engine, UNGUARDED, "WHERE e.step = p.step"),
        pytest.raises(IntegrityError, match="pending_enrolments_fkey"),
    ):
        move_meets(people, between, insert).result()
    assert people.rows("SELECT 1 FROM pending WHERE customer = 'ann'") == []


def test_unguarded_insert_without_the_foreign_key_plans_for_a_parked_customer(
    people: Layby, between: Interleaving
) -> None:
    """Planted: neither the guard nor the key. So it is the key that the schema's promise is."""
    insert = Insert(people)
    with people.engine.begin() as connection:
        connection.execute(text("ALTER TABLE pending DROP CONSTRAINT pending_enrolments_fkey"))
    with (
        planted(
            people.engine,
            "e.enrolment, e.slot, e.customer, e.step, p.channel",
            f"e.enrolment, {insert.slot}, e.customer, p.step, p.channel",
        ),
        planted(people.engine, UNGUARDED, "WHERE e.step = p.step"),
    ):
        move_meets(people, between, insert).result()
    found = set(broken(people.engine))
    assert "G3 nothing is pending but for a live enrolment of a live slot" in found


# A claimer that rolls back, or commits; and SKIP LOCKED in the cancel.


def meet_a_claimer(
    layby: Layby, between: Interleaving, kind: str
) -> tuple[Task[dict[int, Message]], Task[Outcome]]:
    """A start has taken the sends and not committed when a silence comes and waits."""
    claimer = between.stopped(lambda: start(layby.engine, layby.account), having=TAKES)
    command = layby.accept(kind, customers=["ann"])
    return claimer, between.waiting(lambda: layby.apply(command), for_=claimer)


@pytest.mark.parametrize("kind", ["move_to_directory", "pause"])
def test_claimer_that_rolls_back_leaves_its_send_to_the_silence(
    people: Layby, between: Interleaving, kind: str
) -> None:
    claimer, silence = meet_a_claimer(people, between, kind)
    with pytest.raises(CrashedError):
        claimer.crash().result()
    outcome = silence.result()
    assert (outcome.cancelled, outcome.started) == (1, 0)
    assert outcome.quiet_at is not None
    assert people.rows("SELECT 1 FROM pending WHERE customer = 'ann'") == []
    assert broken(people.engine) == {}


@pytest.mark.parametrize("kind", ["move_to_directory", "pause"])
def test_claimer_that_commits_is_reported_as_started(
    people: Layby, between: Interleaving, kind: str
) -> None:
    claimer, silence = meet_a_claimer(people, between, kind)
    assert len(claimer.go().result()) == 2
    outcome = silence.result()
    assert (outcome.cancelled, outcome.started) == (0, 1)
    assert outcome.quiet_at is None
    assert broken(people.engine) == {}


def cancel_skipping(connection: Connection, account: str, slots: Sequence[int], held: str) -> None:
    """Planted: pause as a queue would do it, leaving alone what another has locked."""
    connection.execute(
        text(
            """
            DELETE FROM pending WHERE (account, enrolment) IN (
                SELECT account, enrolment FROM pending
                WHERE account = :account AND slot = ANY(CAST(:slots AS bigint[]))
                FOR UPDATE SKIP LOCKED)
            """
        ),
        {"account": account, "slots": list(slots)},
    )
    connection.execute(
        text(
            "UPDATE enrolments SET held = :held "
            "WHERE account = :account AND slot = ANY(CAST(:slots AS bigint[]))"
        ),
        {"account": account, "slots": list(slots), "held": held},
    )


@pytest.mark.parametrize("skipping", [False, True], ids=["waiting", "skip-locked"])
def test_cancel_that_skips_what_is_locked_leaks_and_one_that_waits_does_not(
    people: Layby, between: Interleaving, *, skipping: bool
) -> None:
    """The claimer rolls back, and its send is nobody's; unless the cancel waited for it."""
    slot = people.one("SELECT slot FROM slots WHERE customer = 'ann'")

    def pause() -> None:
        with people.engine.begin() as connection:
            if skipping:
                cancel_skipping(connection, people.account, [slot], "paused")
            else:
                customers.lock(connection, people.account, ["ann"])
            customers.set_paused(connection, people.account, [slot], people.now)
            if not skipping:
                holds.settle(connection, people.account, [slot])

    claimer = between.stopped(lambda: start(people.engine, people.account), having=TAKES)
    paused = between.waiting(pause, for_=claimer)
    with pytest.raises(CrashedError):
        claimer.crash().result()
    paused.result()
    leaked = people.one("SELECT count(*) FROM pending WHERE customer = 'ann'")
    assert leaked == (1 if skipping else 0)
    assert bool(broken(people.engine)) is skipping


# Facts, read in the statement that locks, or in a later one.


DUE = "p.due_at <= "


def start_while_an_address_changes(layby: Layby, between: Interleaving) -> list[str]:
    """The start's first statement has its snapshot; a change of address commits; it goes on."""
    with snapshot_taken_early(layby.engine, DUE) as held:
        claimer = between.run(lambda: start(layby.engine, layby.account))
        held()
        layby.must("update_customer", customers=["ann"], profile={"email": "new@example.org"})
    return sorted(message.recipient for message in claimer.result().values())


def test_facts_read_after_the_lock_are_those_committed_meanwhile(
    people: Layby, between: Interleaving
) -> None:
    recipients = start_while_an_address_changes(people, between)
    assert recipients == ["bob@example.org", "new@example.org"]


def test_facts_read_in_the_statement_that_locks_leak(people: Layby, between: Interleaving) -> None:
    """Planted: the address is remembered from the statement that locks, as one query would."""
    with people.engine.begin() as connection:
        connection.execute(text("CREATE TABLE remembered (customer text, email text)"))
    with (
        planted(
            people.engine,
            "SKIP LOCKED ) SELECT CAST(p.ctid AS text)",
            "SKIP LOCKED ), kept AS (INSERT INTO remembered SELECT c.customer, c.email "
            "FROM p JOIN customers c USING (account, customer)) SELECT CAST(p.ctid AS text)",
        ),
        planted(
            people.engine,
            "c.name, c.email",
            "c.name, (SELECT email FROM remembered r WHERE r.customer = c.customer)",
        ),
    ):
        recipients = start_while_an_address_changes(people, between)
    assert recipients == ["ann@example.org", "bob@example.org"]


def test_payment_that_commits_while_a_start_waits_leaves_nothing_to_start(
    people: Layby, between: Interleaving
) -> None:
    """What the payment took out is gone when the start comes to lock it."""
    with snapshot_taken_early(people.engine, DUE) as held:
        claimer = between.run(lambda: start(people.engine, people.account))
        held()
        people.must("record", customers=["ann"], fact={"fact": "payment"})
    assert [m.recipient for m in claimer.result().values()] == ["bob@example.org"]
    assert people.ledger("ann") == [(0, "cancelled", "paid")]


# An insert that waits for a payment.


def retry_waits_for_a_payment(layby: Layby, between: Interleaving) -> None:
    command = layby.accept("record", customers=["ann"], fact={"fact": "payment"})
    payment = between.stopped(lambda: layby.apply(command), having=SILENCES)
    opens = started(layby.engine, layby.account)
    retry = between.waiting(lambda: answer(layby.engine, opens, Answer.TEMPORARY), for_=payment)
    payment.go().result()
    retry.result()


def test_insert_that_waits_for_a_payment_reads_the_enrolment_anew(
    people: Layby, between: Interleaving
) -> None:
    start(people.engine, people.account)
    retry_waits_for_a_payment(people, between)
    assert people.ledger("ann") == [(0, "cancelled", "paid")]
    assert people.rows("SELECT 1 FROM pending WHERE customer = 'ann'") == []
    assert broken(people.engine) == {}


LOCKS_TO_SETTLE = "SELECT slot FROM slots WHERE account = %(account)s AND slot = ANY"


@contextmanager
def enrolment_read_while_locking(engine: Engine) -> Iterator[None]:
    """Planted: the statement that waits for the slot joins the enrolments, and is believed.

    PostgreSQL re-reads the row that it waited for, and only that one: the enrolments come from
    the snapshot that the statement began with.
    """
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE pending DROP CONSTRAINT pending_enrolments_fkey"))
        connection.execute(text("CREATE TABLE believed AS SELECT * FROM enrolments LIMIT 0"))
    with (
        planted(
            engine,
            LOCKS_TO_SETTLE,
            "WITH seen AS (SELECT e.*, s.slot AS of_slot FROM slots s "
            "JOIN enrolments e USING (account, slot) ORDER BY s.slot FOR KEY SHARE OF s), "
            "kept AS (INSERT INTO believed (account, enrolment, customer, slot, schedule, version,"
            " step) OVERRIDING SYSTEM VALUE SELECT account, enrolment, customer, of_slot, schedule,"
            " version, step FROM seen) " + LOCKS_TO_SETTLE,
        ),
        planted(
            engine,
            "FROM enrolments e WHERE e.account = %(account)s AND e.enrolment = t.e",
            "FROM believed e WHERE e.account = %(account)s AND e.enrolment = t.e",
        ),
    ):
        yield


def test_insert_that_rereads_only_the_locked_row_plans_for_an_ended_enrolment(
    people: Layby, between: Interleaving
) -> None:
    start(people.engine, people.account)
    with enrolment_read_while_locking(people.engine):
        retry_waits_for_a_payment(people, between)
    assert people.one("SELECT count(*) FROM pending WHERE customer = 'ann'") == 1
    assert "G2 what is pending agrees with its enrolment" in broken(people.engine)


# A predicate in a joined subquery.


def two_late_words(layby: Layby, between: Interleaving) -> list[tuple[str, str]]:
    """A send is unknown; one late word says sent, and another, which waits for it, failed."""
    engine, account = layby.engine, layby.account
    start(engine, account)
    opens = started(engine, account)
    answer(engine, opens, Answer.UNKNOWN)
    sent = between.stopped(
        lambda: answer(engine, opens[:1], Answer.ACCEPTED), having="UPDATE sends s"
    )
    failed = between.waiting(lambda: answer(engine, opens[:1], Answer.PERMANENT), for_=sent)
    sent.go().result()
    failed.result()
    rows = layby.rows("SELECT state, rule FROM sends WHERE send = :send", send=opens[0].send)
    return [(state, rule) for state, rule in rows]


def test_late_word_never_overwrites_what_was_resolved_meanwhile(
    people: Layby, between: Interleaving
) -> None:
    assert two_late_words(people, between) == [("sent", "accepted")]


def test_predicate_in_a_joined_subquery_overwrites_a_row_finished_meanwhile(
    people: Layby, between: Interleaving
) -> None:
    """Planted: not held before, and chosen in a subquery, which is not asked again after a wait."""
    with (
        planted(people.engine, "ORDER BY s.send FOR NO KEY UPDATE OF s", ""),
        planted(
            people.engine,
            "AND s.state = 'unknown' AND",
            "AND s.send IN (SELECT u.send FROM sends u WHERE u.state = 'unknown') AND",
        ),
    ):
        assert two_late_words(people, between) == [("failed", "permanent")]


# Reactivation, with the counter last or first.


def test_reactivation_with_the_counter_last_does_not_deadlock_with_a_move(
    people: Layby, between: Interleaving
) -> None:
    people.must("move_to_directory", customers=["ann"])
    people.accept("reactivate", customers=["ann"])
    people.accept("move_to_directory", customers=["bob"])
    people.accept("pause", customers=["ann", "bob"])
    with errors_by_state(people.engine) as errors:
        first = between.stopped(lambda: apply_for(people, "ann"), having="UPDATE counters")
        second = between.waiting(lambda: apply_for(people, "bob"), for_=first)
        third = between.waiting(lambda: apply_for(people, "ann", "bob"), for_=first)
        first.go()
        for task in (first, second, third):
            task.result()
    places = people.rows("SELECT customer, place FROM customers ORDER BY customer")
    assert places == [("ann", "active"), ("bob", "archived")]
    assert errors == {}
    assert broken(people.engine) == {}


def test_reactivation_with_the_counter_first_deadlocks_with_a_move(
    people: Layby, between: Interleaving
) -> None:
    """Planted: the counter is taken before the customer, by hand and in that order."""
    people.must("move_to_directory", customers=["ann"])
    move = people.accept("move_to_directory", customers=["ann", "bob"])
    with errors_by_state(people.engine) as errors, people.engine.connect() as connection:
        with connection.begin() as transaction:
            connection.execute(text("UPDATE counters SET active = active + 1"))
            pid = backend(connection)
            moving = between.run(lambda: people.apply(move))
            until(lambda: waits_for(people.engine, pid), "the move waits for the counter")
            with suppress(OperationalError):  # whichever of the two the server ends
                customers.lock(connection, people.account, ["ann"])
            transaction.rollback()
        moving.result()
    assert errors == {"40P01": 1}


def forget_what_was_started(engine: Engine) -> None:
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("VACUUM started"))


def test_settling_is_guarded_by_the_token_of_the_attempt(people: Layby) -> None:
    """Another attempt at the same step can't be settled with the first one's word (G4)."""
    engine, account = people.engine, people.account
    forget_what_was_started(engine)
    start(engine, account)
    first = started(engine, account)
    answer(engine, first, Answer.NOT_HANDED_OVER)
    forget_what_was_started(engine)  # so that the second is where the first was
    start(engine, account)
    second = {one.send for one in started(engine, account)}
    assert {one.flight.tid for one in started(engine, account)} == {it.flight.tid for it in first}
    stale = [one._replace(send=send) for one, send in zip(first, second, strict=True)]
    answer(engine, stale, Answer.ACCEPTED)
    assert {one.send for one in started(engine, account)} == second
    assert people.rows("SELECT 1 FROM sends") == []


def test_send_whose_row_has_moved_is_settled_where_it_is_now(people: Layby) -> None:
    """And not what is in its place, be it of the same attempt."""
    engine, account = people.engine, people.account
    start(engine, account)
    ann, bob = started(engine, account)
    elsewhere = ann._replace(flight=ann.flight._replace(tid=bob.flight.tid))
    answer(engine, [elsewhere], Answer.PERMANENT)
    assert people.ledger("ann") == [(0, "failed", "permanent")]
    assert started(engine, account) == [bob]


def test_resolving_is_guarded_by_the_token_of_the_attempt(people: Layby) -> None:
    engine, account = people.engine, people.account
    start(engine, account)
    one = started(engine, account)[0]
    answer(engine, [one], Answer.UNKNOWN)
    with engine.begin() as connection:
        sent = End("sent", "accepted", "", None, None, None, 1, None, 0)
        word = Settled(one.send, uuid4(), "(0,1)", sent)
        assert settles.resolve_late(connection, account, [word]) == 0
