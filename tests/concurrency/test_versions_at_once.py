"""A move to a newer version beside the starts and settles of the same run."""

from concurrency.interleave import Interleaving, planted
from concurrency.invariants import broken
from concurrency.parts import answer, start, started
from harness import SCHEDULE, Layby

from domain.message import Answer

NEWER = {**SCHEDULE, "steps": [*SCHEDULE["steps"], {**SCHEDULE["steps"][0], "offset": "P9D"}]}
RUNS = "SELECT version, step, slot IS NOT NULL FROM enrolments WHERE customer = 'ann' ORDER BY 1"
LOOK = ") FROM enrolments e JOIN customers c USING (account, customer) WHERE e.account"
TAKES, ENDS = "INSERT INTO started", "AS step_channel\n                FROM enrolments e"


def newer(layby: Layby) -> str:
    layby.must("put_schedule", schedule="dunning", definition=NEWER)
    return layby.accept("move_to_version", customers=["ann"], schedule="dunning")


def test_move_that_comes_second_to_a_start_waits_and_leaves_the_run_where_it_is(
    people: Layby, between: Interleaving
) -> None:
    command = newer(people)
    first = between.stopped(lambda: start(people.engine, people.account), having=TAKES)
    move = between.waiting(lambda: people.apply(command), for_=first)
    first.go().result()
    assert [refusal.code for refusal in move.result().refusals] == ["in_progress"]
    assert people.rows(RUNS) == [(1, 0, True)]
    answer(people.engine, started(people.engine, people.account), Answer.ACCEPTED)
    assert people.rows(RUNS) == [(1, 1, True)]
    assert broken(people.engine) == {}


def test_start_that_comes_second_to_a_move_passes_by_and_then_takes_the_newer_run(
    people: Layby, between: Interleaving
) -> None:
    command = newer(people)
    move = between.stopped(lambda: people.apply(command), having=ENDS)
    between.run(lambda: start(people.engine, people.account)).result()
    assert people.rows("SELECT customer FROM started") == [("bob",)]
    move.go().result()
    assert people.rows(RUNS) == [(1, 0, False), (2, 0, True)]
    start(people.engine, people.account)
    assert people.rows(
        "SELECT e.version FROM started s JOIN enrolments e USING (account, enrolment) "
        "WHERE s.customer = 'ann'"
    ) == [(2,)]
    assert broken(people.engine) == {}


def test_without_a_look_at_what_is_started_a_move_would_send_a_step_again(people: Layby) -> None:
    """Planted: the move takes a run with a send in progress along."""
    command = newer(people)
    start(people.engine, people.account)
    with planted(people.engine, f"s.enrolment = e.enrolment{LOOK}", f"false{LOOK}"):
        people.apply(command)
    start(people.engine, people.account)
    steps = people.rows("SELECT step FROM started WHERE customer = 'ann'")
    assert steps == [(0,), (0,)]


def test_zone_that_changes_while_a_send_is_out_counts_for_the_next_one(people: Layby) -> None:
    """A number in another country, and its worker still knows the old one."""
    by_day = {
        "anchor": "due_date",
        "steps": [
            {"offset": f"P{day}D", "at": "09:00", "channel": "email", "template": "hello"}
            for day in (0, 2)
        ],
    }
    people.must("put_schedule", schedule="daily", definition=by_day)
    people.must("update_customer", customers=["ann"], profile={"phone": "+33612345678"})
    people.must("pause", customers=["bob"])
    people.must("remove_from_schedule", customers=["ann"], schedule="dunning")
    people.must("assign_schedule", customers=["ann"], schedule="daily", due_date="2026-01-05")
    start(people.engine, people.account)
    out = started(people.engine, people.account)
    people.must("update_customer", customers=["ann"], profile={"phone": "+81312345678"})
    answer(people.engine, out, Answer.ACCEPTED)
    assert people.one("SELECT due_at FROM pending").isoformat() == "2026-01-07T00:00:00+00:00"
