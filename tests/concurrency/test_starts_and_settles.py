"""A send is started once, and settled once, whoever tries and however often (G4)."""

import pytest
from concurrency.interleave import CrashedError, Interleaving, lost_acknowledgement, planted
from concurrency.invariants import broken
from concurrency.parts import FakeClock, answer, start, started
from harness import Layby, numbered

from domain.message import Answer
from scheduler.ticks import Watch
from storage.database import DatabaseError

TAKES = "INSERT INTO started"
SETTLES = "DELETE FROM started"


def test_two_starts_on_the_same_sends_take_each_once(people: Layby, between: Interleaving) -> None:
    """The second one passes by what the first holds, and finds nothing later either."""
    first = between.stopped(lambda: start(people.engine, people.account), having=TAKES)
    assert between.run(lambda: start(people.engine, people.account)).result() == {}
    assert len(first.go().result()) == 2
    assert start(people.engine, people.account) == {}
    assert broken(people.engine) == {}


def test_start_that_neither_locks_nor_skips_fails_on_what_another_took(
    people: Layby, between: Interleaving
) -> None:
    """Planted: no locks. The row can still be taken out once only; the other start breaks off."""
    with (
        planted(people.engine, "FOR NO KEY UPDATE SKIP LOCKED", ""),
        planted(people.engine, "(SELECT %(limit)s) FOR UPDATE SKIP LOCKED", "(SELECT %(limit)s)"),
    ):
        first = between.stopped(lambda: start(people.engine, people.account), having=TAKES)
        second = between.waiting(lambda: start(people.engine, people.account), for_=first)
        first.go().result()
        with pytest.raises(KeyError):
            second.result()
    assert people.one("SELECT count(*) FROM started") == 2


def test_many_starts_at_once_take_each_send_once(layby: Layby, between: Interleaving) -> None:
    layby.set_up()
    customers = list(numbered("c", 60))
    layby.on_schedule(*customers)
    tasks = [between.run(lambda: start(layby.engine, layby.account, room=7)) for _ in range(12)]
    handed = [message for task in tasks for message in task.result().values()]
    while more := start(layby.engine, layby.account, room=7):
        handed += more.values()
    assert len(handed) == 60
    assert len({message.key for message in handed}) == 60
    assert broken(layby.engine) == {}


def test_settle_run_twice_changes_nothing_the_second_time(people: Layby) -> None:
    start(people.engine, people.account)
    opens = started(people.engine, people.account)
    answer(people.engine, opens, Answer.ACCEPTED)
    before = everything(people)
    answer(people.engine, opens, Answer.ACCEPTED)
    answer(people.engine, opens, Answer.TEMPORARY)
    answer(people.engine, opens, Answer.PERMANENT)
    assert everything(people) == before


def test_settle_whose_acknowledgement_is_lost_is_run_again_and_changes_nothing(
    people: Layby,
) -> None:
    start(people.engine, people.account)
    opens = started(people.engine, people.account)
    with lost_acknowledgement(people.engine, SETTLES):
        answer(people.engine, opens, Answer.ACCEPTED)
    assert people.ledger("ann") == [(0, "sent", "accepted")]
    assert people.one("SELECT count(*) FROM pending") == 2
    assert broken(people.engine) == {}


def test_settle_and_rescue_of_the_same_send_write_one_outcome(
    people: Layby, clock: FakeClock, between: Interleaving
) -> None:
    """The rescue comes first; the worker's word waits for it, and then resolves the unknown."""
    start(people.engine, people.account)
    opens = started(people.engine, people.account)
    watch = Watch()
    watch.rescue(people.engine)
    clock.pass_lease()
    rescue = between.stopped(lambda: watch.rescue(people.engine), having=SETTLES)
    word = between.waiting(lambda: answer(people.engine, opens, Answer.ACCEPTED), for_=rescue)
    rescue.go().result()
    word.result()
    assert people.ledger("ann") == [(0, "sent", "accepted")]
    assert people.one("SELECT step FROM pending WHERE customer = 'ann'") == 1
    assert broken(people.engine) == {}


def test_rescue_that_comes_second_leaves_the_send_to_who_settles_it(
    people: Layby, clock: FakeClock, between: Interleaving
) -> None:
    """It waits for nobody; and what had come to nothing is rescued by the next look."""
    start(people.engine, people.account)
    first = started(people.engine, people.account)[:1]
    watch = Watch()
    watch.rescue(people.engine)
    clock.pass_lease()
    word = between.stopped(lambda: answer(people.engine, first, Answer.ACCEPTED), having=SETTLES)
    assert between.run(lambda: watch.rescue(people.engine)).result() == 1
    with pytest.raises(CrashedError):
        word.crash().result()
    assert watch.rescue(people.engine) == 1
    assert people.rows("SELECT state FROM sends") == [("unknown",), ("unknown",)]
    assert broken(people.engine) == {}


def test_rescue_waits_a_full_lease_on_its_own_clock(people: Layby, clock: FakeClock) -> None:
    """However long ago a send was started by other clocks."""
    start(people.engine, people.account)
    with people.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE started SET started_at = now() - interval '1 day'")
    watch = Watch()
    assert watch.rescue(people.engine) == 0
    clock.now_seconds += 29
    assert watch.rescue(people.engine) == 0
    clock.pass_lease()
    assert watch.rescue(people.engine) == 2


def test_late_word_after_a_rescue_resolves_the_unknown_to_sent(
    people: Layby, clock: FakeClock
) -> None:
    start(people.engine, people.account)
    opens = started(people.engine, people.account)
    watch = Watch()
    watch.rescue(people.engine)
    clock.pass_lease()
    watch.rescue(people.engine)
    assert people.ledger("ann") == [(0, "unknown", "unknown")]
    planned = people.rows("SELECT enrolment, step, due_at FROM pending ORDER BY 1")
    answer(people.engine, opens, Answer.ACCEPTED)
    assert people.ledger("ann") == [(0, "sent", "accepted")]
    assert people.rows("SELECT enrolment, step, due_at FROM pending ORDER BY 1") == planned


def test_start_whose_acknowledgement_is_lost_is_given_back(people: Layby) -> None:
    """The commit happened, and nothing of it is handed over: by its token all goes back."""
    with lost_acknowledgement(people.engine, TAKES), pytest.raises(DatabaseError):
        start(people.engine, people.account)
    assert people.rows("SELECT step, attempts FROM pending") == [(0, 0), (0, 0)]
    assert people.rows("SELECT 1 FROM started") == []
    assert len(start(people.engine, people.account)) == 2
    assert broken(people.engine) == {}


def test_start_given_back_after_a_move_is_cancelled(people: Layby, between: Interleaving) -> None:
    """What its worker did not hand over does not come back to a parked customer."""
    start(people.engine, people.account)
    opens = started(people.engine, people.account)
    command = people.accept("move_to_directory", customers=["ann"])
    move = between.stopped(lambda: people.apply(command), having="DELETE FROM slots")
    back = between.waiting(lambda: answer(people.engine, opens, Answer.NOT_HANDED_OVER), for_=move)
    move.go().result()
    back.result()
    assert people.ledger("ann") == [(0, "cancelled", "moved")]
    assert people.rows("SELECT customer FROM pending") == [("bob",)]


def test_start_that_is_rolled_back_leaves_everything_as_it_was(
    people: Layby, between: Interleaving
) -> None:
    before = everything(people)
    claimer = between.stopped(lambda: start(people.engine, people.account), having=TAKES)
    with pytest.raises(CrashedError):
        claimer.crash().result()
    assert everything(people) == before


def everything(layby: Layby) -> dict[str, list[tuple[object, ...]]]:
    tables = ("customers", "slots", "enrolments", "pending", "started", "sends", "counters")
    return {table: sorted(layby.rows(f"SELECT {table}::text FROM {table}")) for table in tables}
