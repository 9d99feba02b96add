"""The order of locks where transactions that share no slot meet: each pair waits in one direction.

Suppressions of an account → commands by number → their lines → counters; the ledger by number.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from concurrency.interleave import (
    Interleaving,
    Task,
    backend,
    errors_by_state,
    snapshot_taken_early,
    until,
    waits_for,
)
from concurrency.invariants import broken
from concurrency.parts import answer, apply_for, start, started
from harness import Layby
from sqlalchemy import event, text

from domain.message import Answer
from storage import restored, retention, submissions, unapplied
from storage.database import Connection, Engine, transact
from storage.retention import BEGINNING
from workers import facts, resolving
from workers.resolving import resolve_some

NOTE = {"fact": "note", "text": "she called"}
RECORDS, COUNTS = "INSERT INTO suppressions", "UPDATE commands"
ERASES = "t.account = %(account)s AND t.customer = gone.customer"
"""Of the statements that erase, once the outcome is written and counted."""


@pytest.fixture
def known(layby: Layby) -> Layby:
    """Ann, archived; Bob, Cid and Dan in reserve."""
    layby.set_up()
    layby.on_schedule("ann")
    layby.must("move_to_directory", customers=["ann"])
    layby.add("bob", "cid", "dan")
    return layby


@pytest.fixture
def shared(known: Layby) -> Layby:
    """A command for Ann and Bob, of which Ann's share is applied."""
    known.accept("record", customers=["ann", "bob"], fact=NOTE)
    apply_for(known, "ann")
    return known


def block(shared: Layby, between: Interleaving) -> Task[None]:
    """Bob is blocked, by a command of his own: it writes the account's suppressions."""
    apply_for(shared, "bob")
    shared.accept("block", customers=["bob"])
    return between.stopped(lambda: apply_for(shared, "bob"), having=RECORDS)


def note(shared: Layby, between: Interleaving) -> Task[None]:
    """Bob's share is applied: it counts in the command."""
    return between.stopped(lambda: apply_for(shared, "bob"), having=COUNTS)


def redact(known: Layby) -> None:
    known.accept("redact", customers=["ann"])


def come_late(known: Layby) -> None:
    """Details of who is redacted already: they are refused, and go."""
    redact(known)
    apply_for(known, "ann")
    known.accept("update_customer", customers=["ann"], profile={"name": "Secret"})


@pytest.mark.parametrize(("other", "erase"), [(block, redact), (block, come_late), (note, redact)])
def test_erasure_that_waits_has_no_counters_in_its_hands(
    shared: Layby,
    between: Interleaving,
    other: Callable[[Layby, Interleaving], Task[None]],
    erase: Callable[[Layby], None],
) -> None:
    """Neither for suppressions nor for commands: with Cid's place counted, Dan's could not be."""
    erase(shared)
    first = other(shared, between)
    for customer in ("cid", "dan"):
        shared.accept("activate", customers=[customer])
    with errors_by_state(shared.engine) as errors:
        erasure = between.waiting(lambda: apply_for(shared, "ann", "cid"), for_=first)
        count = between.run(lambda: apply_for(shared, "dan"))
        between.until_done_or_waiting(count, for_=erasure)
        assert count.done, "it waits for the counters"
        first.go().result()
        erasure.result()
    assert errors == {}
    assert broken(shared.engine) == {}


def test_erasure_touches_no_command_that_it_did_not_hold_before_the_counters(
    shared: Layby, between: Interleaving
) -> None:
    """One that is accepted meanwhile, for Ann too, is being counted by who waits for ours."""
    first = note(shared, between)
    redact(shared)
    shared.accept("activate", customers=["cid"])
    with errors_by_state(shared.engine) as errors:
        erasure = between.waiting(lambda: apply_for(shared, "ann", "cid"), for_=first)
        profile = {"name": "Secret"}
        later = shared.accept("add_customer", customers=["ann", "eve"], profile=profile)
        with snapshot_taken_early(shared.engine, ERASES) as until_held:
            first.go().result()
            until_held()
            count = between.waiting(lambda: apply_for(shared, "eve"), for_=erasure)
        erasure.result()
        count.result()
    assert errors == {}
    shared.ring()
    assert shared.outcome(later).applied == 1
    assert "Secret" not in shared.one("SELECT body::text FROM commands WHERE command = :c", c=later)
    assert broken(shared.engine) == {}


def cannot(*_: object) -> None:
    raise ValueError("a defect")


def test_replay_of_what_could_not_be_applied_waits_for_an_erasure_with_nothing_in_its_hands(
    known: Layby, between: Interleaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as defect:
        defect.setattr(facts, "record", cannot)
        command = known.send("record", customers=["ann"], fact=NOTE)
    assert [one.code for one in command.refusals] == ["cannot_apply"]
    known.accept("redact", customers=["ann"])

    def replay() -> bool:
        return transact(
            known.engine, lambda connection: unapplied.replay(connection, "acme", command.id)
        )

    with errors_by_state(known.engine) as errors:
        with snapshot_taken_early(known.engine, ERASES) as until_held:
            erasure = between.run(lambda: apply_for(known, "ann"))
            until_held()
            again = between.waiting(replay, for_=erasure)
        erasure.result()
        assert again.result() is False, "what it was is erased"
    assert errors == {}
    assert broken(known.engine) == {}


def test_command_that_is_set_aside_while_a_share_of_it_is_applied_takes_that_share_along(
    known: Layby, between: Interleaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was first; and nothing is done to Bob that his line does not tell."""
    monkeypatch.setattr(resolving, "LOOKED_AT_ONCE", 1)
    known.bulk_from = 1
    command = known.accept("activate", customers=["bob", "cid"])
    seq = known.one("SELECT seq FROM commands WHERE command = :command", command=command)
    resolve_some(known.engine, known.account, seq)

    def set_aside() -> None:
        transact(
            known.engine,
            lambda connection: unapplied.set_aside_unresolved(connection, "acme", seq, "a defect"),
        )

    its_lines = "account = %(account)s AND seq = %(seq)s AND state = 'waiting'"
    with errors_by_state(known.engine) as errors:
        with snapshot_taken_early(known.engine, its_lines) as until_held:
            first = between.run(set_aside)
            until_held()
            share = between.waiting(lambda: apply_for(known, "bob"), for_=first)
        first.result()
        share.result()
    assert errors == {}
    assert known.rows(
        "SELECT customer, state, code FROM command_targets WHERE seq = :s", s=seq
    ) == [("bob", "refused", "cannot_apply")]
    assert known.one("SELECT place FROM customers WHERE customer = 'bob'") == "reserve"
    assert broken(known.engine) == {}


def late_word(people: Layby) -> Callable[[], object]:
    opens = started(people.engine, people.account)
    answer(people.engine, opens, Answer.UNKNOWN)
    people.must("move_to_directory", customers=["bob", "ann"])
    return lambda: answer(people.engine, opens, Answer.ACCEPTED)


def redaction(people: Layby) -> Callable[[], object]:
    late_word(people)
    people.accept("redact", customers=["bob", "ann"])
    return lambda: apply_for(people, "bob", "ann")


@contextmanager
def found_as_they_lie(engine: Engine) -> Iterator[None]:
    """By no index: what orders rows is what a statement says, and not that a plan happens to."""

    def scan(connection: Connection) -> None:
        for way in ("indexscan", "indexonlyscan", "bitmapscan"):
            connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")

    engine.dispose()  # with the plans that are kept
    event.listen(engine, "begin", scan)
    try:
        yield
    finally:
        event.remove(engine, "begin", scan)


def waits_for_the_first(
    layby: Layby, between: Interleaving, act: Callable[[], object], row: str, *names: str
) -> None:
    """It waits for the first of two rows, and the second one is free as long."""
    first, second = (text(f"SELECT 1 FROM {row} = '{name}' FOR UPDATE NOWAIT") for name in names)
    with found_as_they_lie(layby.engine), layby.engine.connect() as holder:
        holder.execute(first)
        task = between.run(act)
        until(lambda: waits_for(layby.engine, backend(holder)), "it waits for the first")
        holder.execute(second)
        holder.rollback()
        task.result()
    assert broken(layby.engine) == {}


def written_last(layby: Layby, table: str, row: str, column: str = "account") -> None:
    """Of what lies in a table, this comes last now."""
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET {column} = {column} WHERE {row}")


@pytest.mark.parametrize("several", [late_word, redaction])
def test_ledger_of_several_customers_is_held_by_number(
    people: Layby, between: Interleaving, several: Callable[[Layby], Callable[[], object]]
) -> None:
    """A redaction and a late word share no slot."""
    start(people.engine, people.account)
    act = several(people)
    for table in ("enrolments", "sends"):
        written_last(people, table, "customer = 'ann'")
    waits_for_the_first(people, between, act, "sends WHERE customer", "ann", "bob")


@pytest.mark.parametrize("erased", [True, False])
def test_several_commands_are_held_by_number(
    known: Layby, between: Interleaving, *, erased: bool
) -> None:
    """By an erasure as by every outcome."""
    names = [known.accept("record", customers=["ann", "bob"], fact=NOTE) for _ in range(2)]
    if erased:
        apply_for(known, "ann")
        redact(known)
    written_last(known, "commands", f"command = '{names[0]}'")
    act = partial(apply_for, known, "ann")
    waits_for_the_first(known, between, act, "commands WHERE command", *names)


def test_what_is_submitted_in_sql_is_taken_out_by_key(layby: Layby, between: Interleaving) -> None:
    for number in (1, 2):
        command = (
            f'{{"id": "s-{number}", "account": "acme", "kind": "purge", "customers": ["ann"]}}'
        )
        with layby.engine.begin() as connection:
            connection.execute(text("SELECT layby_submit(CAST(:c AS jsonb))"), {"c": command})
    first, second = (str(key) for (key,) in layby.rows("SELECT key FROM submissions ORDER BY key"))
    written_last(layby, "submissions", f"key = {first}", "command")

    def take() -> None:
        with layby.engine.begin() as connection:
            submissions.take(connection, 10, 100_000)

    waits_for_the_first(layby, between, take, "submissions WHERE key", first, second)


def test_fence_that_is_lifted_waits_for_a_fact_that_moves_a_plan(
    people: Layby, between: Interleaving
) -> None:
    """The fact writes `started` and then `pending`, a start the other way round."""
    start(people.engine, people.account)
    people.must("put_account", test_clock=people.now.replace(hour=20))
    people.accept("record", customers=["ann"], fact={"fact": "payment", "full": False})

    def lock_out() -> None:
        with people.engine.begin() as connection:
            restored.lock_writers_out(connection)

    moves = "e.account = %(account)s AND e.enrolment = m.enrolment"
    with errors_by_state(people.engine) as errors:
        with snapshot_taken_early(people.engine, moves) as until_held:
            fact = between.run(lambda: apply_for(people, "ann"))
            until_held()
            lifted = between.waiting(lock_out, for_=fact)
        fact.result()
        lifted.result()
    assert errors == {}


def test_pruning_passes_by_the_journal_of_who_is_being_erased(
    known: Layby, between: Interleaving
) -> None:
    paid = {"fact": "payment", "reference": "INV-1"}
    for customer in ("ann", "bob"):
        known.must("record", customers=[customer], fact=paid)
    after = known.one("SELECT clock_timestamp() + interval '1 minute'")
    with known.engine.begin() as connection:
        retention.prune_commands(connection, BEGINNING, after, 1000)
    known.accept("redact", customers=["ann"])

    def prune() -> int:
        with known.engine.begin() as connection:
            return retention.prune_journal(connection, BEGINNING, after, 1000).gone

    erasure = between.stopped(lambda: apply_for(known, "ann"), having="UPDATE journal")
    pruning = between.run(prune)
    between.until_done_or_waiting(pruning, for_=erasure)
    assert pruning.done, "it waits for the erasure"
    assert pruning.result() > 0
    erasure.go().result()
    assert prune() > 0, "what it passed by"
