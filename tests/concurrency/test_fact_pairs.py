"""Facts against the parts of a reminder, and releases of promises against all that may meet them.

What holds and ends is in test_silence_pairs too, beside moves and pauses.
"""

from datetime import timedelta

import pytest
from concurrency.interleave import Interleaving, planted
from concurrency.invariants import broken
from concurrency.parts import answer, start, started
from harness import Layby
from sqlalchemy import text

from domain.message import Answer, Channel
from workers.holds import release_some

DAY = timedelta(days=1)
SETTLES = "DELETE FROM started"
FACT = "UPDATE command_targets t"
RELEASES = "DELETE FROM marks"
KEY_SHARE = "ORDER BY slot FOR KEY SHARE"


def accept_fact(layby: Layby, fact: str, **of: object) -> str:
    return layby.accept("record", customers=["ann"], fact={"fact": fact, **of})


def settle(layby: Layby) -> None:
    answer(layby.engine, started(layby.engine, layby.account), Answer.ACCEPTED)


def of_ann(layby: Layby) -> list[tuple[object, ...]]:
    """(step, due in days from the start) of what is pending for Ann."""
    rows = layby.rows("SELECT step, due_at FROM pending WHERE customer = 'ann'")
    began = layby.one("SELECT activated_at FROM slots WHERE customer = 'ann'")
    return [(step, (due - began) / DAY) for step, due in rows]


# A payment in part, and a settle that plans the next step.


@pytest.fixture
def sending(people: Layby) -> Layby:
    """Ann's first reminder is under way since half a day; the next one was for a day after it."""
    start(people.engine, people.account)
    people.travel(DAY / 2)
    return people


def part_payment(layby: Layby) -> object:
    return layby.apply(accept_fact(layby, "payment", full=False))


def test_part_paid_while_the_next_step_is_planned_puts_it_off(
    sending: Layby, between: Interleaving
) -> None:
    first = between.stopped(lambda: settle(sending), having=SETTLES)
    paid = between.waiting(lambda: part_payment(sending), for_=first)
    first.go().result()
    paid.result()
    assert of_ann(sending) == [(1, 1.5)]
    assert broken(sending.engine) == {}


def settle_waits_for_a_part(sending: Layby, between: Interleaving) -> None:
    paid = between.stopped(lambda: part_payment(sending), having=FACT)
    second = between.waiting(lambda: settle(sending), for_=paid)
    paid.go().result()
    second.result()


def test_settle_that_waits_for_a_part_plans_by_the_anchor_as_it_is_now(
    sending: Layby, between: Interleaving
) -> None:
    settle_waits_for_a_part(sending, between)
    assert of_ann(sending) == [(1, 1.5)]
    assert broken(sending.engine) == {}


def test_settle_that_believes_its_start_plans_by_the_anchor_as_it_was(
    sending: Layby, between: Interleaving
) -> None:
    """Planted: it does not look whether the anchor has moved."""
    with planted(sending.engine, "OR t.anchor_moved IS TRUE", ""):
        settle_waits_for_a_part(sending, between)
    assert of_ann(sending) == [(1, 1.0)]


# What holds, and a settle that does not lock.


@pytest.mark.parametrize("fact", ["dispute", "promise", "interaction"])
def test_without_the_slots_lock_a_settle_plans_for_what_a_fact_holds(
    people: Layby, between: Interleaving, fact: str
) -> None:
    """Planted: the settle does not lock the slot, and the fact can't see what it has planned."""
    of = {"promise": {"until": "2026-02-01"}, "interaction": {"direction": "inbound"}}.get(fact, {})
    start(people.engine, people.account)
    command = accept_fact(people, fact, **of)
    with planted(people.engine, KEY_SHARE, "ORDER BY slot"):
        first = between.stopped(lambda: settle(people), having=SETTLES)
        held = between.waiting(lambda: people.apply(command), for_=first)
        first.go().result()
        held.result()
    assert "G2 what is pending agrees with its enrolment" in broken(people.engine)


# Releases.


@pytest.fixture
def promised(people: Layby) -> Layby:
    """Ann's promise is over since a moment, and nobody has released it."""
    people.must(
        "record",
        customers=["ann"],
        fact={"fact": "promise", "until": f"{people.now:%Y-%m-%d}"},
    )
    with people.engine.begin() as connection:
        connection.execute(text("UPDATE accounts SET test_now = test_now + interval '1 day'"))
    people.now += DAY
    return people


def release(layby: Layby) -> bool:
    return release_some(layby.engine, layby.account, 100)


def status(layby: Layby) -> str:
    return str(layby.one("SELECT status FROM slots WHERE customer = 'ann'"))


def broken_promises(layby: Layby) -> int:
    return int(layby.one("SELECT count(*) FROM journal WHERE event = 'promise_broken'"))


def test_release_that_waits_for_a_payment_finds_nothing_to_release(
    promised: Layby, between: Interleaving
) -> None:
    command = accept_fact(promised, "payment")
    paid = between.stopped(lambda: promised.apply(command), having=FACT)
    second = between.waiting(lambda: release(promised), for_=paid)
    paid.go().result()
    second.result()
    assert of_ann(promised) == []
    assert (status(promised), broken_promises(promised)) == ("on_track", 0)
    assert broken(promised.engine) == {}


def test_payment_that_waits_for_a_release_ends_what_it_planned(
    promised: Layby, between: Interleaving
) -> None:
    command = accept_fact(promised, "payment")
    first = between.stopped(lambda: release(promised), having=RELEASES)
    paid = between.waiting(lambda: promised.apply(command), for_=first)
    first.go().result()
    assert paid.result().cancelled == 1
    assert of_ann(promised) == []
    assert promised.ledger("ann") == [(0, "cancelled", "paid")]
    assert status(promised) == "on_track"
    assert broken(promised.engine) == {}


@pytest.mark.parametrize("first", ["move", "release"])
def test_release_and_move_leave_nothing_pending(
    promised: Layby, between: Interleaving, first: str
) -> None:
    command = promised.accept("move_to_directory", customers=["ann"])
    if first == "move":
        move = between.stopped(lambda: promised.apply(command), having=FACT)
        second = between.waiting(lambda: release(promised), for_=move)
        move.go().result()
        second.result()
    else:
        released = between.stopped(lambda: release(promised), having=RELEASES)
        move = between.waiting(lambda: promised.apply(command), for_=released)
        released.go().result()
    assert move.result().cancelled == 1
    assert promised.ledger("ann") == [(0, "cancelled", "moved")]
    assert promised.rows("SELECT 1 FROM marks") == []
    assert broken(promised.engine) == {}


def test_two_releases_at_once_release_once(promised: Layby, between: Interleaving) -> None:
    first = between.stopped(lambda: release(promised), having=RELEASES)
    second = between.waiting(lambda: release(promised), for_=first)
    first.go().result()
    second.result()
    assert (len(of_ann(promised)), broken_promises(promised), status(promised)) == (1, 1, "late")
    assert broken(promised.engine) == {}


def release_meets_a_newer_promise(promised: Layby, between: Interleaving) -> None:
    command = accept_fact(promised, "promise", until="2026-02-01")
    renewed = between.stopped(lambda: promised.apply(command), having=FACT)
    second = between.waiting(lambda: release(promised), for_=renewed)
    renewed.go().result()
    second.result()


def test_release_that_waits_for_a_newer_promise_leaves_that_alone(
    promised: Layby, between: Interleaving
) -> None:
    release_meets_a_newer_promise(promised, between)
    assert (of_ann(promised), broken_promises(promised), status(promised)) == ([], 0, "promised")
    assert broken(promised.engine) == {}


def test_release_that_believes_what_it_saw_before_it_waited_breaks_a_newer_promise(
    promised: Layby, between: Interleaving
) -> None:
    """Planted: it was due when it was found, so it is released."""
    with planted(
        promised.engine, "AND mark = 'promised' AND until <= %(now)s", "AND mark = 'promised'"
    ):
        release_meets_a_newer_promise(promised, between)
    assert len(of_ann(promised)) == 1


def test_start_passes_by_who_is_being_released_and_takes_them_after_it(
    promised: Layby, between: Interleaving
) -> None:
    first = between.stopped(lambda: release(promised), having=RELEASES)
    meanwhile = start(promised.engine, promised.account, Channel.EMAIL)
    first.go().result()
    after = start(promised.engine, promised.account, Channel.EMAIL)
    names = [[m.recipient for m in taken.values()] for taken in (meanwhile, after)]
    assert names == [["bob@example.org"], ["ann@example.org"]]
    assert broken(promised.engine) == {}
