"""A cap holds whoever starts at the same time, and whatever becomes of what had started."""

from concurrency.interleave import Interleaving, planted
from concurrency.parts import FakeClock, answer, start, started
from harness import Layby

from domain.message import Answer, Channel
from scheduler.ticks import Watch

TAKES = "INSERT INTO started"
SLOT_LOCK = "FOR NO KEY UPDATE SKIP LOCKED"
IN_PROGRESS = "FROM started s WHERE s.account = %(account)s AND s.enrolment = o.enrolment"
TEXTS = {
    "anchor": "assigned_at",
    "steps": [{"offset": "PT0S", "channel": "sms", "template": "nudge"}],
}


def by_both_channels(layby: Layby) -> None:
    """Ann has an email and a text due now, and one message a week."""
    layby.set_up()
    layby.must("put_schedule", schedule="texts", definition=TEXTS)
    layby.on_schedule("ann")
    layby.must("assign_schedule", customers=["ann"], schedule="texts")
    layby.must("put_account", rules={"caps": [{"at_most": 1, "in": "P7D"}]})


def at_once(layby: Layby, between: Interleaving) -> None:
    """The email is taken and not committed while the text is looked at."""
    email = between.stopped(lambda: start(layby.engine, layby.account), having=TAKES)
    between.run(lambda: start(layby.engine, layby.account, Channel.SMS)).result()
    email.go().result()
    start(layby.engine, layby.account, Channel.SMS)


def test_two_starts_of_a_customer_at_once_keep_to_a_cap_of_one(
    layby: Layby, between: Interleaving
) -> None:
    """The second passes by the slot that the first holds, and counts it when it comes again."""
    by_both_channels(layby)
    at_once(layby, between)
    assert layby.rows("SELECT channel FROM started") == [("email",)]
    assert layby.rows("SELECT channel, deferred FROM pending") == [("sms", "caps")]


def test_two_starts_that_do_not_lock_the_slot_pass_a_cap_of_one(
    layby: Layby, between: Interleaving
) -> None:
    """Planted: rows of `pending` alone are locked, and each start counts before the other."""
    by_both_channels(layby)
    with planted(layby.engine, SLOT_LOCK, ""):
        at_once(layby, between)
    assert layby.one("SELECT count(*) FROM started") == 2


def test_two_starts_that_count_only_what_has_settled_pass_a_cap_of_one(
    layby: Layby, between: Interleaving
) -> None:
    """Planted: what is in progress does not count."""
    by_both_channels(layby)
    with planted(layby.engine, IN_PROGRESS, "FROM started s WHERE false"):
        at_once(layby, between)
    assert layby.one("SELECT count(*) FROM started") == 2


def test_cap_counts_a_send_through_rescue_and_until_a_late_no(
    layby: Layby, clock: FakeClock
) -> None:
    """Unknown may have gone out; the word that it has not gives its place back."""
    by_both_channels(layby)
    start(layby.engine, layby.account)
    opens = started(layby.engine, layby.account)
    watch = Watch()
    watch.rescue(layby.engine)
    clock.pass_lease()
    assert watch.rescue(layby.engine) == 1
    assert start(layby.engine, layby.account, Channel.SMS) == {}
    assert layby.rows("SELECT deferred FROM pending WHERE channel = 'sms' AND step = 0") == [
        ("caps",)
    ]
    answer(layby.engine, opens, Answer.PERMANENT)
    assert layby.ledger("ann") == [(0, "failed", "permanent")]
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE pending SET due_at = planned_at WHERE deferred = 'caps'")
    assert len(start(layby.engine, layby.account, Channel.SMS)) == 1


def test_rescue_at_the_same_time_as_a_start_leaves_no_gap_in_the_count(
    layby: Layby, between: Interleaving, clock: FakeClock
) -> None:
    """The rescue moves the send from one table to the other, and a start sees one of the two."""
    by_both_channels(layby)
    start(layby.engine, layby.account)
    watch = Watch()
    watch.rescue(layby.engine)
    clock.pass_lease()
    rescue = between.stopped(lambda: watch.rescue(layby.engine), having="DELETE FROM started")
    assert between.run(lambda: start(layby.engine, layby.account, Channel.SMS)).result() == {}
    rescue.go().result()
    assert layby.rows("SELECT deferred FROM pending WHERE channel = 'sms' AND step = 0") == [
        ("caps",)
    ]
