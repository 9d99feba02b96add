"""What is recorded before a start reads its facts forbids it; what comes after reports it.

Blocks and opt-outs of customers meet each part of a reminder in test_silence_pairs.py.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import pytest
from concurrency.interleave import (
    Interleaving,
    Task,
    backend,
    errors_by_state,
    planted,
    until,
    waits_for,
)
from concurrency.invariants import broken
from concurrency.parts import apply_for, start
from harness import Layby
from sqlalchemy import event

from storage.database import Connection, Engine
from workers.bulk import apply_bulk
from workers.resolving import resolve, resolve_some

SAYS = "INSERT INTO suppressions"
WRITES = "SELECT pg_advisory_xact_lock(hashtextextended('suppressions of ' || %(account)s, 0))"
"""What comes before the first suppression that a transaction writes."""
READS = "LATERAL (SELECT * FROM customers c"
CONSENT = {"source": "START", "at": "2026-01-05T08:00:00Z"}


def seq_of(layby: Layby, command: str) -> int:
    return int(layby.one("SELECT seq FROM commands WHERE command = :c", c=command))


def record(layby: Layby, command: str) -> None:
    """Do the first step alone, as a worker that then dies."""
    assert resolve_some(layby.engine, layby.account, seq_of(layby, command))


@contextmanager
def just_before(engine: Engine, having: str, do: Callable[[], object]) -> Iterator[None]:
    """Do something on another connection between two statements of a transaction."""
    done: list[str] = []

    def executes(_: object, __: object, statement: str, *___: object) -> None:
        if having in statement and not done:
            done.append(statement)
            do()

    event.listen(engine, "before_cursor_execute", executes)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", executes)
    assert done, f"no statement has {having!r}"


@pytest.mark.parametrize("command", [{"domain": "example.org"}, {"address": "ANN@example.org"}])
def test_what_is_recorded_between_a_starts_lock_and_its_facts_forbids_it(
    people: Layby, command: dict[str, str]
) -> None:
    """Nobody locks a slot to record it: the facts, read in a later statement, must see it."""
    block = people.accept("block", **command)
    with just_before(people.engine, READS, lambda: record(people, block)):
        start(people.engine, people.account)
    assert people.rows("SELECT 1 FROM started WHERE customer = 'ann'") == []
    assert people.ledger("ann") == [(0, "skipped", "consent")]
    assert people.outcome(block).state == "accepted"
    apply_bulk(people.engine, people.account)
    assert people.outcome(block).state == "applied"
    assert broken(people.engine) == {}


def test_start_that_read_its_facts_before_is_waited_for_and_reported(
    people: Layby, between: Interleaving
) -> None:
    """Recording waits for nobody; what takes out waits for the slot."""
    block = people.accept("block", domain="example.org")
    first = between.stopped(
        lambda: start(people.engine, people.account, room=1), having="INSERT INTO started"
    )
    record(people, block)
    resolve(people.engine, people.account, seq_of(people, block))
    second = between.waiting(lambda: apply_for(people, "ann", "bob"), for_=first)
    first.go().result()
    second.result()
    outcome = people.outcome(block)
    assert (outcome.state, outcome.cancelled, outcome.started) == ("applied", 1, 1)
    assert outcome.quiet_at is None
    assert broken(people.engine) == {}


@pytest.mark.parametrize("asked", [True, False])
def test_customer_added_while_the_scan_runs_is_forbidden_by_the_gate(
    layby: Layby, between: Interleaving, *, asked: bool
) -> None:
    """The scan can't see who is not committed yet; the start sees what was recorded before.

    Planted: the start does not ask.
    """
    layby.set_up()
    layby.add("bob")
    profile = {"name": "Eve", "email": "eve@Spam.Example", "phone": "+33612345679"}
    layby.accept("add_customer", customers=["eve"], profile=profile, place="active")
    adding = between.stopped(lambda: apply_for(layby, "eve"), having="INSERT INTO customers")
    block = layby.accept("block", domain="spam.example")
    apply_bulk(layby.engine, layby.account)
    assert (layby.outcome(block).state, layby.outcome(block).targets) == ("applied", 0)
    adding.go().result()
    layby.must("assign_schedule", customers=["eve"], schedule="dunning")
    bug = nullcontext() if asked else planted(layby.engine, ANY_FOUND, "false, CASE held.number")
    with bug:
        handed = start(layby.engine, layby.account)
    assert bool(handed) is not asked
    assert layby.ledger("eve") == ([(0, "skipped", "consent")] if asked else [])


ANY_FOUND = "EXISTS (SELECT 1 FROM suppressions WHERE account = %(account)s), CASE held.number"


def test_two_customers_of_one_address_are_silenced_at_once(
    layby: Layby, between: Interleaving
) -> None:
    """What both record is recorded once; neither fails, and no deadlock comes of it."""
    layby.set_up()
    layby.add("ann", "bob", email="family@example.org")
    layby.must("activate", customers=["ann", "bob"])
    layby.must("assign_schedule", customers=["ann", "bob"], schedule="dunning")
    for customer in ("ann", "bob"):
        layby.accept("opt_out", customers=[customer])
    with errors_by_state(layby.engine) as errors:
        first = between.stopped(lambda: apply_for(layby, "ann"), having=SAYS)
        second = between.waiting(lambda: apply_for(layby, "bob"), for_=first)
        first.go().result()
        second.result()
    assert errors == {}
    assert layby.rows("SELECT aim, count(*) FROM suppressions GROUP BY aim ORDER BY aim") == [
        ("address", 1),
        ("customer", 4),
        ("number", 1),
    ]
    assert layby.ledger("ann") == layby.ledger("bob") == [(0, "cancelled", "opted_out")]
    assert broken(layby.engine) == {}


@pytest.mark.parametrize("alone", [True, False])
def test_two_that_say_two_things_of_one_number_in_another_order_do_not_deadlock(
    people: Layby, between: Interleaving, *, alone: bool
) -> None:
    """Planted: an account's suppressions are written by several transactions at once."""
    for customer, kinds in {"ann": ("block", "opt_out"), "bob": ("opt_out", "block")}.items():
        for kind in kinds:
            people.accept(kind, customers=[customer])
    first, met = threading.current_thread(), []

    def meet(connection: Connection, _: object, statement: str, *__: object) -> None:
        if threading.current_thread() is first and SAYS in statement:
            met.append(backend(connection))
            if len(met) == len(("block", "opt_out")):  # before the second
                other.append(between.run(lambda: apply_for(people, "bob")))
                until(lambda: waits_for(people.engine, met[0]), "the other waits")

    other: list[Task[None]] = []
    bug = nullcontext() if alone else planted(people.engine, WRITES, "SELECT %(account)s")
    event.listen(people.engine, "before_cursor_execute", meet)
    with bug, errors_by_state(people.engine) as errors:
        apply_for(people, "ann")
        other[0].result()
    event.remove(people.engine, "before_cursor_execute", meet)
    assert errors == ({} if alone else {"40P01": 1})
    assert broken(people.engine) == {}


@pytest.mark.parametrize("as_read", [True, False])
def test_stop_said_again_while_consent_is_applied_stands(people: Layby, *, as_read: bool) -> None:
    """Lifted is what was read. Planted: whatever is there."""
    people.must("opt_out", number="+80012345678")
    people.accept("opt_in", customers=["ann"], consent=CONSENT)
    again = people.accept("opt_out", number="+80012345678")
    right = "AND s.order_at = CAST(l.order_at AS timestamptz)"
    bug = nullcontext() if as_read else planted(people.engine, right, "")
    with bug, just_before(people.engine, WRITES, lambda: record(people, again)):
        apply_for(people, "ann")
    stands = people.one("SELECT count(*) FROM suppressions WHERE aim = 'number'")
    assert stands == (1 if as_read else 0)
