"""Commands from many doors and workers at once: quotas, order, idempotence (G6, G7)."""

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from concurrency.interleave import (
    BOUND_SECONDS,
    CrashedError,
    Interleaving,
    Task,
    lost_acknowledgement,
    planted,
)
from concurrency.invariants import NOTHING_WAITS, broken
from concurrency.parts import apply_for
from harness import Layby, numbered

from storage.database import DatabaseError
from storage.inbox import Accepted
from workers.intake import accept_raw
from workers.lifecycle import apply_waiting

SILENCES = "UPDATE command_targets t"
FITS = "AND (%(active)s <= 0 OR active + %(active)s <= active_limit)"


def sixteen_for_five_places(layby: Layby, between: Interleaving) -> list[str]:
    """Sixteen activations decide on the same five free places, then all commit."""
    layby.set_up(active_limit=5)
    customers = list(numbered("c", 16))
    layby.add(*customers)
    commands = [layby.accept("activate", customers=[customer]) for customer in customers]
    gate = threading.Barrier(16, timeout=BOUND_SECONDS)

    def activate(customer: str) -> None:
        gate.wait()
        apply_for(layby, customer)

    for task in [between.run(partial(activate, customer)) for customer in customers]:
        task.result()
    return [refusal.code for command in commands for refusal in layby.outcome(command).refusals]


def test_activations_at_the_quotas_edge_are_applied_as_far_as_there_is_room(
    layby: Layby, between: Interleaving
) -> None:
    refused = sixteen_for_five_places(layby, between)
    assert refused == ["active_limit"] * 11
    assert layby.rows("SELECT active, directory FROM counters") == [(5, 11)]
    assert broken(layby.engine) == {}


def last_place_decided_on_twice(layby: Layby, between: Interleaving) -> None:
    layby.set_up(active_limit=1)
    layby.add("ann", "bob")
    for customer in ("ann", "bob"):
        layby.accept("activate", customers=[customer])
    ann = between.stopped(lambda: apply_for(layby, "ann"), having="UPDATE counters")
    bob = between.waiting(lambda: apply_for(layby, "bob"), for_=ann)
    ann.go().result()
    bob.result()


def test_last_place_that_two_have_seen_free_is_given_once(
    layby: Layby, between: Interleaving
) -> None:
    """The counter's condition is asked again after the wait; the loser decides anew."""
    last_place_decided_on_twice(layby, between)
    assert layby.rows("SELECT active, directory FROM counters") == [(1, 1)]
    assert layby.outcome("cmd-8").state == "refused"


def test_counter_without_its_condition_gives_the_last_place_twice(
    layby: Layby, between: Interleaving
) -> None:
    """Planted: what was seen free is taken, without asking again."""
    with planted(layby.engine, FITS, ""):
        last_place_decided_on_twice(layby, between)
    assert layby.rows("SELECT active, active_limit FROM counters") == [(2, 1)]


def through_a_door(layby: Layby, command: Mapping[str, object], door: str) -> Accepted | None:
    with layby.engine.begin() as connection:
        return accept_raw(connection, json.dumps(command).encode(), door)


ACCEPTS = "INSERT INTO commands"


def test_same_command_from_two_doors_at_once_is_accepted_once(
    layby: Layby, between: Interleaving
) -> None:
    layby.set_up()
    command = {"id": "x", "account": "acme", "kind": "pause", "customers": ["ann"]}
    first = between.stopped(lambda: through_a_door(layby, command, "stream"), having=ACCEPTS)
    second = between.waiting(lambda: through_a_door(layby, command, "sql"), for_=first)
    one, other = first.go().result(), second.result()
    assert one is not None
    assert other == one._replace(fresh=False)
    assert one.fresh
    assert layby.rows("SELECT door, targets FROM commands WHERE command = 'x'") == [("stream", 1)]
    assert layby.one("SELECT count(*) FROM command_targets WHERE customer = 'ann'") == 1


def test_other_command_under_the_same_id_at_once_is_quarantined_beside_the_first(
    layby: Layby, between: Interleaving
) -> None:
    layby.set_up()
    command = {"id": "x", "account": "acme", "kind": "pause", "customers": ["ann"]}
    other = {**command, "customers": ["bob"]}
    first = between.stopped(lambda: through_a_door(layby, command, "stream"), having=ACCEPTS)
    second = between.waiting(lambda: through_a_door(layby, other, "sql"), for_=first)
    first.go().result()
    second.result()
    beside = layby.rows(
        "SELECT state, left(command, 2) FROM commands WHERE command LIKE 'x%' ORDER BY command"
    )
    assert beside == [("accepted", "x"), ("quarantined", "x#")]


def test_first_doors_rollback_leaves_the_command_to_the_second(
    layby: Layby, between: Interleaving
) -> None:
    layby.set_up()
    command = {"id": "x", "account": "acme", "kind": "pause", "customers": ["ann"]}
    first = between.stopped(lambda: through_a_door(layby, command, "stream"), having=ACCEPTS)
    second = between.waiting(lambda: through_a_door(layby, command, "sql"), for_=first)
    with pytest.raises(CrashedError):
        first.crash().result()
    accepted = second.result()
    assert accepted is not None
    assert accepted.fresh


def test_new_customer_that_two_commands_add_at_once_is_added_once(
    layby: Layby, between: Interleaving
) -> None:
    """There is no row to lock yet: its name is held instead."""
    layby.set_up()
    commands = [
        layby.accept("add_customer", customers=["ann"], profile={"name": name})
        for name in ("Ann", "Anne")
    ]
    first = between.stopped(lambda: layby.apply(commands[0]), having="INSERT INTO customers")
    second = between.waiting(lambda: layby.apply(commands[1]), for_=first)
    first.go().result()
    second.result()
    assert [layby.outcome(command).state for command in commands] == ["applied", "refused"]
    assert layby.rows("SELECT name FROM customers") == [("Ann",)]
    assert broken(layby.engine) == {}


def test_two_lists_that_add_each_others_customers_do_not_deadlock(
    layby: Layby, between: Interleaving
) -> None:
    layby.set_up()
    layby.accept("add_customer", customers=["c", "a", "b"])
    layby.accept("add_customer", customers=["b", "d", "a"])
    first = between.stopped(lambda: apply_for(layby, "c", "a"), having="INSERT INTO customers")
    second = between.waiting(lambda: apply_for(layby, "b", "d", "a"), for_=first)
    first.go().result()
    second.result()
    apply_for(layby, "a", "b", "c", "d")
    assert layby.one("SELECT count(*) FROM customers") == 4
    assert layby.rows(NOTHING_WAITS) == []
    assert broken(layby.engine) == {}


def test_commands_of_one_customer_are_applied_in_order_though_rung_in_another(
    people: Layby,
) -> None:
    """Whoever rings first applies all that waits for the customer, the oldest first."""
    move = people.accept("move_to_directory", customers=["ann"])
    back = people.accept("reactivate", customers=["ann"])
    pause = people.accept("pause", customers=["ann"])
    people.apply(pause)
    assert [people.outcome(one).state for one in (move, back, pause)] == ["applied"] * 3
    events = people.rows(
        "SELECT event FROM journal WHERE customer = 'ann' ORDER BY entry DESC LIMIT 3"
    )
    assert events == [("customer_paused",), ("customer_reactivated",), ("customer_moved",)]


def test_later_command_that_is_rung_while_an_earlier_one_is_applied_waits(
    people: Layby, between: Interleaving
) -> None:
    move = people.accept("move_to_directory", customers=["ann"])
    first = between.stopped(lambda: people.apply(move), having=SILENCES)
    back = people.accept("reactivate", customers=["ann"])
    second = between.waiting(lambda: people.apply(back), for_=first)
    first.go().result()
    assert second.result().state == "applied"
    assert people.one("SELECT place FROM customers WHERE customer = 'ann'") == "active"
    assert broken(people.engine) == {}


def test_set_up_is_applied_before_the_customers_commands_that_follow_it(layby: Layby) -> None:
    """Rung or not: an assignment finds the schedule that came before it."""
    layby.set_up(active_limit=1)
    layby.add("ann", "bob")
    layby.must("activate", customers=["bob"])
    plan = layby.accept("put_account", active_limit=2)
    layby.must("activate", customers=["ann"])
    assert layby.outcome(plan).state == "applied"


def test_set_up_applied_by_two_workers_at_once_is_applied_once(
    layby: Layby, between: Interleaving
) -> None:
    layby.set_up()
    plan = layby.accept("put_account", active_limit=7)
    first = between.stopped(lambda: layby.apply(plan), having="SET state = ")
    second = between.waiting(lambda: layby.apply(plan), for_=first)
    first.go().result()
    second.result()
    assert layby.one("SELECT count(*) FROM journal WHERE event = 'account_put'") == 2


def test_command_whose_acknowledgement_is_lost_is_applied_once(people: Layby) -> None:
    move = people.accept("move_to_directory", customers=["ann"])
    with lost_acknowledgement(people.engine, SILENCES), pytest.raises(DatabaseError):
        people.apply(move)
    assert people.apply(move).state == "applied"
    assert people.ledger("ann") == [(0, "cancelled", "moved")]
    assert people.rows("SELECT active, directory FROM counters") == [(1, 1)]


def test_bulk_command_applied_by_many_workers_counts_each_customer_once(
    layby: Layby, between: Interleaving
) -> None:
    layby.set_up()
    customers = list(numbered("c", 30))
    layby.on_schedule(*customers)
    move = layby.accept("move_to_directory", customers=customers)
    for one in customers[::3]:
        layby.accept("pause", customers=list({one, "c-30"}))
    tasks: list[Task[Any]] = [
        *(between.run(partial(apply_for, layby, one, "c-30")) for one in customers[::3]),
        *(between.run(lambda: layby.apply(move)) for _ in range(4)),
    ]
    for task in tasks:
        task.result()
    assert layby.outcome(move).applied == 30
    assert layby.rows(NOTHING_WAITS) == []
    assert broken(layby.engine) == {}


EARLIER = datetime.now(UTC) - timedelta(minutes=10)
LATER = datetime.now(UTC) - timedelta(minutes=5)


@pytest.mark.parametrize(
    ("silence", "end"), [("move_to_directory", "reactivate"), ("pause", "resume")]
)
def test_end_of_a_silence_issued_before_it_and_applied_at_the_same_time_is_superseded(
    people: Layby, between: Interleaving, silence: str, end: str
) -> None:
    """The earlier of issued and received is the order, whichever door was faster."""
    silencing = people.accept(silence, customers=["ann"], issued_at=LATER)
    first = between.stopped(lambda: people.apply(silencing), having=SILENCES)
    ending = people.accept(end, customers=["ann"], issued_at=EARLIER)
    second = between.waiting(lambda: people.apply(ending), for_=first)
    first.go().result()
    outcome = second.result()
    assert outcome.state == "superseded"
    assert people.rows("SELECT 1 FROM pending WHERE customer = 'ann'") == []


@pytest.mark.parametrize(
    ("silence", "end"), [("move_to_directory", "reactivate"), ("pause", "resume")]
)
def test_end_of_a_silence_issued_after_it_is_applied(people: Layby, silence: str, end: str) -> None:
    people.must(silence, customers=["ann"], issued_at=EARLIER)
    people.must(end, customers=["ann"], issued_at=LATER)
    assert people.one("SELECT place FROM customers WHERE customer = 'ann'") == "active"


def test_silence_issued_before_an_end_that_came_first_still_silences(people: Layby) -> None:
    """Only what ends silence is superseded; a silence that comes late is applied."""
    people.must("move_to_directory", customers=["ann"])
    people.must("reactivate", customers=["ann"])
    people.must("move_to_directory", customers=["ann"], issued_at=EARLIER)
    assert people.one("SELECT place FROM customers WHERE customer = 'ann'") == "archived"


def test_worker_that_dies_leaves_the_command_to_the_next(
    people: Layby, between: Interleaving
) -> None:
    move = people.accept("move_to_directory", customers=["ann"])
    with pytest.raises(CrashedError):
        between.stopped(lambda: people.apply(move), having=SILENCES).crash().result()
    assert people.outcome(move).state == "accepted"
    assert people.one("SELECT count(*) FROM pending") == 2
    apply_waiting(people.engine, people.account)
    assert people.outcome(move).state == "applied"
