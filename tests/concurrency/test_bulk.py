"""Bulk and single commands at once: nobody is held up, overtaken or let in (G6, G7)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from concurrency.interleave import Interleaving, backend, planted, until, waits_for
from concurrency.invariants import NOTHING_WAITS, broken
from concurrency.parts import apply_for
from harness import Layby, numbered
from sqlalchemy import text

from workers import bulk, resolving
from workers.bulk import apply_bulk
from workers.lifecycle import apply_waiting

SILENCES = "UPDATE command_targets t"


@pytest.fixture
def many(layby: Layby) -> Layby:
    """Six active customers with a send due each; lists of more than two are bulk."""
    layby.bulk_from = 2
    layby.set_up(active_limit=8)
    layby.on_schedule(*numbered("c", 6))
    return layby


def accept_and_resolve(layby: Layby, kind: str, customers: Any, **fields: Any) -> str:
    command = layby.accept(kind, customers=customers, **fields)
    seq = layby.one("SELECT seq FROM commands WHERE command = :id", id=command)
    resolving.resolve(layby.engine, layby.account, seq)
    return command


def turn(layby: Layby) -> Callable[[], object]:
    return lambda: apply_bulk(layby.engine, layby.account)


def test_single_move_goes_through_while_a_bulk_chunk_is_held(
    many: Layby, between: Interleaving
) -> None:
    """Held with all of its customers and its command's row, just before its commit."""
    bulk_pause = accept_and_resolve(many, "pause", ["c-1", "c-2", "c-3"])
    held = between.stopped(turn(many), having=SILENCES)
    move = many.accept("move_to_directory", customers=["c-4"])
    apply_waiting(many.engine, many.account)
    assert many.outcome(move).state == "applied"
    assert many.outcome(bulk_pause).applied == 0
    held.go().result()
    assert many.outcome(bulk_pause).state == "applied"
    assert broken(many.engine) == {}


def test_single_move_goes_through_while_a_bulk_move_waits_to_count(
    many: Layby, between: Interleaving
) -> None:
    """A bulk move holds the account's counters only once all else is done."""
    bulk_move = accept_and_resolve(many, "move_to_directory", ["c-1", "c-2", "c-3"])
    with many.engine.connect() as holder, holder.begin():
        holder.execute(
            text("SELECT 1 FROM commands WHERE command = :id FOR UPDATE"), {"id": bulk_move}
        )
        task = between.run(turn(many))
        until(lambda: waits_for(many.engine, backend(holder)), "the chunk waits to be counted")
        move = many.accept("move_to_directory", customers=["c-4"])
        apply_waiting(many.engine, many.account)
        assert many.outcome(move).state == "applied"
        assert many.one("SELECT count(*) FROM slots") == 5
    task.result()
    assert many.outcome(bulk_move).applied == 3
    assert many.one("SELECT directory FROM counters") == 4
    assert broken(many.engine) == {}


def test_single_command_for_a_customer_of_a_held_chunk_comes_after_it(
    many: Layby, between: Interleaving
) -> None:
    accept_and_resolve(many, "move_to_directory", ["c-1", "c-2", "c-3"])
    held = between.stopped(turn(many), having=SILENCES)
    back = many.accept("reactivate", customers=["c-2"])
    single = between.waiting(lambda: apply_waiting(many.engine, many.account), for_=held)
    held.go().result()
    single.result()
    assert many.outcome(back).state == "applied"
    assert broken(many.engine) == {}


def test_two_bulk_workers_on_one_command_write_each_line_once(
    many: Layby, between: Interleaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 2)
    names = list(numbered("c", 6))
    move = accept_and_resolve(many, "move_to_directory", names)
    first = between.stopped(turn(many), having=SILENCES)
    second = between.waiting(turn(many), for_=first)
    first.go().result()
    second.result()
    outcome = many.outcome(move)
    assert (outcome.state, outcome.applied, outcome.cancelled) == ("applied", 6, 6)
    assert many.one("SELECT count(*) FROM journal WHERE event = 'customer_moved'") == 6
    assert many.rows(NOTHING_WAITS) == []
    assert broken(many.engine) == {}


def test_two_bulk_workers_that_resolve_one_filter_find_each_customer_once(
    many: Layby, between: Interleaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolving, "LOOKED_AT_ONCE", 2)
    pause = many.accept("pause", customers={"schedule": "dunning"})
    first = between.stopped(turn(many), having="resolved_to = ")
    second = between.waiting(turn(many), for_=first)
    first.go().result()
    second.result()
    outcome = many.outcome(pause)
    assert (outcome.state, outcome.targets, outcome.applied) == ("applied", 6, 6)
    assert broken(many.engine) == {}


def paid_meanwhile(many: Layby, between: Interleaving) -> str:
    """A payment is applied, not committed, when the turn of who is idle comes."""
    many.travel(timedelta(days=200))
    asked = {"idle_for": "P180D", "place": "active"}
    move = accept_and_resolve(many, "move_to_directory", asked)
    # In another transaction than what applies all that waits for the customer.
    payment = """
        WITH held AS (SELECT customer FROM customers WHERE customer = 'c-1' FOR UPDATE)
        INSERT INTO facts (account, customer, kind, data, seq, business_at)
        SELECT 'acme', customer, 'payment', '{}', 1, :now FROM held
    """

    def pay() -> None:
        with many.engine.begin() as connection:
            connection.execute(text(payment), {"now": many.now})

    first = between.stopped(pay, having="INSERT INTO facts")
    second = between.waiting(turn(many), for_=first)
    first.go().result()
    second.result()
    assert broken(many.engine) == {}
    return move


def test_who_pays_while_the_filters_move_waits_for_it_is_not_archived_as_idle(
    many: Layby, between: Interleaving
) -> None:
    outcome = many.outcome(paid_meanwhile(many, between))
    assert outcome.applied == 5
    assert many.rows("SELECT place FROM customers WHERE customer = 'c-1'") == [("active",)]
    assert [line.code for line in outcome.refusals] == ["no_longer_matches"]


def test_filter_that_is_not_asked_again_archives_who_has_paid(
    many: Layby, between: Interleaving
) -> None:
    """Planted: under the locks everybody still fits."""
    with planted(many.engine, "<= %(idle_since)s", "IS NOT NULL"):
        paid_meanwhile(many, between)
    assert many.rows("SELECT place FROM customers WHERE customer = 'c-1'") == [("archived",)]


def test_two_bulk_activations_at_the_plans_edge_fill_it_and_no_more(
    many: Layby, between: Interleaving
) -> None:
    """Two places are free; both have seen them free."""
    many.add(*numbered("a", 3), *numbered("b", 3))
    one = accept_and_resolve(many, "activate", list(numbered("a", 3)))
    other = accept_and_resolve(many, "activate", list(numbered("b", 3)))
    first = between.stopped(lambda: apply_for(many, *numbered("a", 3)), having="UPDATE counters")
    second = between.waiting(lambda: apply_for(many, *numbered("b", 3)), for_=first)
    first.go().result()
    second.result()
    assert [many.outcome(c).applied for c in (one, other)] == [2, 0]
    assert many.one("SELECT active FROM counters") == 8
    assert broken(many.engine) == {}


def test_all_or_none_that_loses_its_room_to_another_takes_nobody(
    many: Layby, between: Interleaving
) -> None:
    """It had seen two places free; one of them is taken before it commits."""
    many.add("ann", "bob", "cid")
    both = many.accept("activate", customers=["ann", "bob"], all_or_none=True)
    single = many.accept("activate", customers=["cid"])
    first = between.stopped(lambda: apply_for(many, "cid"), having="UPDATE counters")
    second = between.waiting(lambda: apply_for(many, "ann"), for_=first)
    first.go().result()
    second.result()
    assert many.outcome(single).state == "applied"
    outcome = many.outcome(both)
    assert (outcome.state, {line.code for line in outcome.refusals}) == (
        "refused",
        {"active_limit"},
    )
    assert many.one("SELECT active FROM counters") == 7
    assert broken(many.engine) == {}
