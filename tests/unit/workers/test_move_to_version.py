"""Moving runs to a newer version: nothing done twice, nothing left out without saying so."""

from datetime import UTC, timedelta
from typing import Any

from concurrency.parts import answer, start, started
from harness import START, Layby
from psycopg import Cursor
from psycopg.pq import TransactionStatus
from sqlalchemy import event

from domain.message import Answer, Channel
from domain.versions import Diff
from storage.audit import run_audit
from workers.versions import diff


def step(name: str | None, days: int, channel: str = "email", **more: Any) -> dict[str, Any]:
    template = "hello" if channel == "email" else "nudge"
    said = {"offset": f"P{days}D", "channel": channel, "template": template, **more}
    return said if name is None else {"name": name, **said}


def schedule(*steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"anchor": "assigned_at", "steps": list(steps), **fields}


FIRST = schedule(step("a", 0), step("b", 2), step("c", 4))


def on_first(layby: Layby, *customers: str, sent: int = 1) -> None:
    """On version 1, with so many sends done."""
    layby.set_up(schedule=FIRST)
    layby.on_schedule(*customers)
    for _ in range(sent):
        layby.deliver()
        layby.travel(timedelta(days=2))


def moved(layby: Layby, newer: dict[str, Any], *customers: str) -> Any:
    layby.must("put_schedule", schedule="dunning", definition=newer)
    return layby.send("move_to_version", customers=list(customers), schedule="dunning")


def pending(layby: Layby) -> list[tuple[Any, ...]]:
    return [
        (customer, version, step_, (at.astimezone(UTC) - START).days)
        for customer, version, step_, at in layby.rows(
            "SELECT p.customer, e.version, p.step, p.planned_at FROM pending p "
            "JOIN enrolments e USING (account, enrolment) ORDER BY 1"
        )
    ]


def of_version(layby: Layby, version: int) -> list[tuple[Any, ...]]:
    return layby.rows(
        "SELECT s.step, s.state, s.rule, s.detail FROM sends s "
        "JOIN enrolments e USING (account, enrolment) WHERE e.version = :version ORDER BY 1",
        version=version,
    )


def sound(layby: Layby) -> None:
    with layby.engine.connect() as connection:
        found = [one for one in run_audit(connection) if one.found and not one.check.warning]
    assert found == []


def what_it_would_do(layby: Layby) -> Diff | None:
    return diff(layby.engine, layby.account, "dunning")


def test_what_is_done_is_not_done_again_and_what_is_new_before_it_is_told(layby: Layby) -> None:
    on_first(layby, "ann", sent=2)
    newer = schedule(step("a", 0), step("new", 1), step("b", 3), step("c", 5), step("d", 9))
    outcome = moved(layby, newer, "ann")
    assert (outcome.state, outcome.cancelled) == ("applied", 0)
    assert pending(layby) == [("ann", 2, 3, 5)]
    layby.travel(timedelta(days=10))
    layby.deliver()
    told = of_version(layby, 2)
    assert [number for number, *_ in told] == [0, 1, 2, 3, 4], "each has its outcome"
    assert told[:3] == [
        (0, "skipped", "moved_to_version", "done as step 1 of version 1"),
        (1, "skipped", "moved_to_version", "it comes before what was done in the older version"),
        (2, "skipped", "moved_to_version", "done as step 2 of version 1"),
    ]
    assert of_version(layby, 1)[-1][1:3] == ("cancelled", "moved_to_version")
    sound(layby)


def test_the_diff_beforehand_is_what_the_move_then_does(layby: Layby) -> None:
    """Three of them on version 1, at other places of it; one with a send in progress."""
    on_first(layby, "ann", "bob", sent=1)
    layby.on_schedule("cid", "dan")
    for customer in ("ann", "bob"):
        layby.must("pause", customers=[customer])
    layby.deliver()
    layby.must("resume", customers=["ann"])
    newer = schedule(step("a", 0), step("b", 3))
    layby.must("put_schedule", schedule="dunning", definition=newer)
    assert what_it_would_do(layby) == Diff(moved=4, retimed=4)
    shorter = schedule(step("a", 0), step("z", 1))
    layby.must("put_schedule", schedule="dunning", definition=shorter)
    would = what_it_would_do(layby)
    assert would == Diff(dropped=4)
    assert (
        would.in_words
        == "0 sends move, 4 are dropped; 4 runs go on with what follows the dropped one"
    )
    outcome = layby.must(
        "move_to_version", customers={"schedule": "dunning"}, schedule="dunning", from_version=1
    )
    assert (outcome.applied, outcome.cancelled) == (4, 4)
    assert layby.one("SELECT count(*) FROM enrolments WHERE version = 3 AND slot IS NOT NULL") == 4
    assert layby.one("SELECT count(*) FROM pending") == 3, "bob is still paused"
    layby.must("resume", customers=["bob"])
    assert layby.one("SELECT count(*) FROM pending") == 4
    assert what_it_would_do(layby) == Diff()
    sound(layby)


def test_the_diff_tells_what_another_calendar_moves(layby: Layby) -> None:
    """The same steps, and the 7th is a holiday now."""
    on_first(layby, "ann", sent=0)
    layby.deliver()
    newer = FIRST | {"holidays": {"days": ["2026-01-07"]}}
    layby.must("put_schedule", schedule="dunning", definition=newer)
    assert what_it_would_do(layby) == Diff(moved=1, retimed=1)
    moved(layby, newer, "ann")
    assert pending(layby) == [("ann", 2, 1, 2)], "at the beginning of the 8th"


def test_the_diff_counts_who_stays_as_the_move_then_refuses_them(layby: Layby) -> None:
    """A customer is moved as a whole: what is in progress of one run keeps the other from it."""
    layby.set_up(schedule=schedule(step("a", 0, "sms"), step("b", 2)))
    layby.on_schedule("ann", "bob")
    layby.must("opt_out", customers=["bob"], channel="email")
    start(layby.engine, layby.account, Channel.SMS)
    layby.must("assign_schedule", customers=["ann"], schedule="dunning", reference="i-2")
    layby.must("put_schedule", schedule="dunning", definition=schedule(step("b", 3)))
    would = what_it_would_do(layby)
    assert would == Diff(in_progress=2, no_consent=1)
    assert would.in_words == (
        "0 sends move, 0 are dropped; 2 stay, with a send in progress; "
        "1 stays, of customers to whom nothing of it may be sent"
    )
    outcome = layby.send("move_to_version", customers=["ann", "bob"], schedule="dunning")
    assert outcome.applied == 0
    assert [refusal.code for refusal in outcome.refusals] == ["in_progress", "no_consent"]


def test_the_diff_of_many_is_in_no_transaction_that_the_server_would_end(layby: Layby) -> None:
    """One in which nothing happens for two seconds; 100,000 runs take several to reckon."""
    on_first(layby, "ann", sent=0)
    layby.must("put_schedule", schedule="dunning", definition=schedule(step("a", 1)))
    seen = set()

    def look(_: object, cursor: Cursor, *__: object) -> None:
        seen.add(cursor.connection.info.transaction_status)

    event.listen(layby.engine, "after_cursor_execute", look)
    assert what_it_would_do(layby) == Diff(moved=1, retimed=1)
    assert seen == {TransactionStatus.IDLE}


def test_a_run_of_which_nothing_is_left_ends(layby: Layby) -> None:
    on_first(layby, "ann", sent=1)
    outcome = moved(layby, schedule(step("a", 0)), "ann")
    assert outcome.cancelled == 1
    assert layby.rows("SELECT version, end_reason FROM enrolments") == [(1, "moved_to_version")]
    sound(layby)


def test_what_stands_holds_a_run_whose_newer_version_heeds_it_and_no_other(layby: Layby) -> None:
    layby.set_up(schedule=schedule(step("a", 0), step("b", 2), holds=["promised"]))
    layby.on_schedule("ann")
    layby.must("record", customers=["ann"], fact={"fact": "dispute"})
    assert layby.one("SELECT count(*) FROM pending") == 1
    for holds in (["disputed"], ["promised"]):
        moved(layby, schedule(step("a", 0), step("b", 3), holds=holds), "ann")
        held = layby.rows("SELECT held FROM enrolments WHERE slot IS NOT NULL")
        heeded = holds == ["disputed"]
        assert held == [("disputed" if heeded else None,)]
        assert layby.one("SELECT count(*) FROM pending") == (0 if heeded else 1)
        sound(layby)


def test_who_has_a_send_in_progress_stays_and_is_told_so(layby: Layby) -> None:
    """What becomes of it is not known: it could be sent again, or be lost."""
    on_first(layby, "ann", sent=0)
    start(layby.engine, layby.account)
    layby.must("put_schedule", schedule="dunning", definition=schedule(step("a", 0), step("e", 8)))
    assert what_it_would_do(layby) == Diff(in_progress=1)
    outcome = layby.send("move_to_version", customers=["ann"], schedule="dunning")
    assert [refusal.code for refusal in outcome.refusals] == ["in_progress"]
    answer(layby.engine, started(layby.engine, layby.account), Answer.ACCEPTED)
    assert pending(layby) == [("ann", 1, 1, 2)]
    layby.must("move_to_version", customers=["ann"], schedule="dunning")
    assert pending(layby) == [("ann", 2, 1, 8)]
    sound(layby)


def test_who_is_on_no_older_version_is_refused_and_nothing_changes(layby: Layby) -> None:
    on_first(layby, "ann", sent=0)
    again = layby.send("move_to_version", customers=["ann"], schedule="dunning")
    assert again.refusals[0].code == "not_on_version"
    wrong = layby.send("move_to_version", customers=["ann"], schedule="dunning", from_version=7)
    assert "it is not on its version 7" in wrong.refusals[0].message
    unknown = layby.send("move_to_version", customers=["ann"], schedule="nonesuch")
    assert unknown.refusals[0].code == "unknown_schedule"
    assert pending(layby) == [("ann", 1, 0, 0)]


def test_who_counts_from_another_anchor_stays_and_is_told_so(layby: Layby) -> None:
    """A moment is no due date, and the newer version's steps need what it counts from."""
    on_first(layby, "ann", sent=0)
    by_day = schedule(step("a", 0, at="09:00"), anchor="due_date")
    layby.must("put_schedule", schedule="dunning", definition=by_day)
    assert what_it_would_do(layby) == Diff(other_anchor=1)
    outcome = layby.send("move_to_version", customers=["ann"], schedule="dunning")
    assert [refusal.code for refusal in outcome.refusals] == ["other_anchor"]
    assert pending(layby) == [("ann", 1, 0, 0)]


def test_who_has_opted_out_of_every_way_of_the_newer_version_stays(layby: Layby) -> None:
    """Nothing may be pending that nobody may send."""
    layby.set_up(schedule=schedule(step("a", 0, "sms"), step("b", 2)))
    layby.on_schedule("ann")
    layby.must("opt_out", customers=["ann"], channel="email")
    outcome = moved(layby, schedule(step("b", 2)), "ann")
    assert (outcome.state, outcome.cancelled) == ("refused", 0)
    assert pending(layby) == [("ann", 1, 0, 0)]
    sound(layby)
