"""A rescue waits for nobody: what others hold, it leaves, and comes back to."""

import pytest
from concurrency.interleave import (
    Interleaving,
    errors_by_state,
    planted,
    snapshot_taken_early,
)
from concurrency.invariants import broken
from concurrency.parts import FakeClock, answer, apply_for, start, started
from harness import Layby

from domain.message import Answer
from scheduler.ticks import Watch

SLOTS = "FOR KEY SHARE SKIP LOCKED"
SENDS = "FOR UPDATE OF s SKIP LOCKED"
ELSEWHERE = "account = %(account)s AND send = ANY(CAST(%(sends)s AS bigint[]))"
"""Of the statement by which a settle looks for rows that a fact has moved since."""


@pytest.fixture
def overdue(layby: Layby, clock: FakeClock) -> Watch:
    """Ann's, Bob's and Cid's sends have been started for longer than their lease."""
    layby.set_up()
    layby.on_schedule("ann", "bob", "cid")
    start(layby.engine, layby.account)
    watch = Watch()
    watch.rescue(layby.engine)
    clock.pass_lease()
    return watch


def test_who_holds_one_slot_keeps_no_other_send_from_its_rescue(
    layby: Layby, between: Interleaving, overdue: Watch
) -> None:
    """However long it is frozen; and nothing is lost: the next look rescues what was left."""
    layby.accept("pause", customers=["ann"])
    frozen = between.stopped(lambda: apply_for(layby, "ann"), having="UPDATE command_targets")
    rescue = between.run(lambda: overdue.rescue(layby.engine))
    between.until_done_or_waiting(rescue, for_=frozen)
    assert rescue.done, "it waits for who holds Ann's slot"
    assert rescue.result() == 2
    assert layby.rows("SELECT customer FROM started") == [("ann",)]
    frozen.go().result()
    assert overdue.rescue(layby.engine) == 1
    assert layby.rows("SELECT customer, state FROM sends ORDER BY 1") == [
        (customer, "unknown") for customer in ("ann", "bob", "cid")
    ]
    assert broken(layby.engine) == {}


def test_rescue_that_waits_for_one_slot_keeps_the_moves_of_others_waiting(
    layby: Layby, between: Interleaving, overdue: Watch
) -> None:
    """Planted: it waits for who holds Cid's slot, and with Ann's, which it has, it holds her up."""
    layby.accept("pause", customers=["cid"])
    frozen = between.stopped(lambda: apply_for(layby, "cid"), having="UPDATE command_targets")
    with planted(layby.engine, SLOTS, "FOR KEY SHARE"):
        rescue = between.waiting(lambda: overdue.rescue(layby.engine), for_=frozen)
    layby.accept("move_to_directory", customers=["ann"])
    move = between.waiting(lambda: apply_for(layby, "ann"), for_=rescue)
    frozen.go().result()
    rescue.result()
    move.result()
    assert broken(layby.engine) == {}


def test_rescue_beside_a_late_word_on_the_same_sends_leaves_what_that_holds(
    layby: Layby, between: Interleaving, overdue: Watch
) -> None:
    """The word takes Ann's and Bob's, and then Cid's, which a fact has moved: never in one order.

    A rescue that waited for Bob's with Cid's in its hands would be waited for in turn.
    """
    opens = started(layby.engine, layby.account)
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE started SET anchor_moved = true WHERE customer = 'cid'")
    with errors_by_state(layby.engine) as errors:
        with snapshot_taken_early(layby.engine, ELSEWHERE) as until_held:
            word = between.run(lambda: answer(layby.engine, opens, Answer.ACCEPTED))
            until_held()
            rescue = between.run(lambda: overdue.rescue(layby.engine))
            between.until_done_or_waiting(rescue, for_=word)
            rescued = rescue.result() if rescue.done else None
        word.result()
        rescue.result()
    assert errors == {}
    assert rescued == 1, "Cid's, which the word had not come to"
    assert {customer: layby.ledger(customer) for customer in ("ann", "bob", "cid")} == {
        customer: [(0, "sent", "accepted")] for customer in ("ann", "bob", "cid")
    }
    assert broken(layby.engine) == {}


def test_send_whose_slot_is_gone_is_rescued_and_one_that_is_being_moved_is_not(
    layby: Layby, between: Interleaving, overdue: Watch
) -> None:
    """No slot to hold: because there is none any more, or because somebody holds it."""
    layby.must("move_to_directory", customers=["ann"])
    move = layby.accept("move_to_directory", customers=["bob"])
    moving = between.stopped(lambda: layby.apply(move), having="DELETE FROM slots")
    assert between.run(lambda: overdue.rescue(layby.engine)).result() == 2
    assert layby.rows("SELECT customer FROM started") == [("bob",)]
    assert moving.go().result().started == 1
    assert overdue.rescue(layby.engine) == 1
    assert broken(layby.engine) == {}
