"""Who is on which schedule: assigned, removed, paused, resumed, paid."""

from datetime import timedelta
from typing import Any

import pytest
from harness import START, Layby

DUE_DATE: dict[str, Any] = {
    "anchor": "due_date",
    "steps": [
        {"offset": "P0D", "at": "09:00", "channel": "email", "template": "hello"},
        {"offset": "P2D", "at": "09:00", "channel": "email", "template": "hello"},
    ],
}


def test_assignment_needs_what_the_schedule_counts_from(layby: Layby) -> None:
    layby.set_up()
    layby.must("put_schedule", schedule="invoices", definition=DUE_DATE)
    layby.add("ann")
    layby.must("activate", customers=["ann"])
    without = layby.send("assign_schedule", customers=["ann"], schedule="invoices")
    assert 'Give it, as in "due_date": "2026-12-01"' in without.refusals[0].message
    too_much = layby.send(
        "assign_schedule", customers=["ann"], schedule="dunning", due_date="2026-01-10"
    )
    assert "Leave due_date out" in too_much.refusals[0].message
    unknown = layby.send("assign_schedule", customers=["ann"], schedule="nonesuch")
    assert unknown.refusals[0].code == "unknown_schedule"


def test_a_customer_is_on_a_schedule_once_for_each_reference(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    again = layby.send("assign_schedule", customers=["ann"], schedule="dunning")
    assert again.refusals[0].code == "already_on_schedule"
    layby.must("assign_schedule", customers=["ann"], schedule="dunning", reference="INV-2")
    assert layby.one("SELECT count(*) FROM pending") == 2


@pytest.mark.parametrize(
    ("payment", "left"),
    [
        ({}, 0),
        ({"reference": "INV-1"}, 1),
        ({"reference": "INV-9"}, 2),
        ({"full": False}, 2),
    ],
)
def test_a_full_payment_ends_what_is_scheduled_for_it(
    layby: Layby, payment: dict[str, Any], left: int
) -> None:
    layby.set_up()
    layby.add("ann")
    layby.must("activate", customers=["ann"])
    for reference in ("INV-1", "INV-2"):
        layby.must("assign_schedule", customers=["ann"], schedule="dunning", reference=reference)
    outcome = layby.must("record", customers=["ann"], fact={"fact": "payment", **payment})
    assert outcome.cancelled == 2 - left
    assert layby.one("SELECT count(*) FROM pending") == left
    assert layby.one("SELECT count(*) FROM facts") == 1


def test_a_payment_does_not_end_a_schedule_that_does_not_end_on_it(layby: Layby) -> None:
    layby.set_up(schedule={**DUE_DATE, "ends": []})
    layby.add("ann")
    layby.must("activate", customers=["ann"])
    layby.must("assign_schedule", customers=["ann"], schedule="dunning", due_date="2026-01-06")
    layby.must("record", customers=["ann"], fact={"fact": "payment"})
    assert layby.one("SELECT count(*) FROM pending") == 1


def test_removal_ends_one_schedule_and_leaves_the_others(layby: Layby) -> None:
    layby.set_up()
    layby.must("put_schedule", schedule="other", definition=DUE_DATE)
    layby.on_schedule("ann")
    layby.must("assign_schedule", customers=["ann"], schedule="other", due_date="2026-01-06")
    layby.must("remove_from_schedule", customers=["ann"], schedule="dunning")
    assert layby.rows("SELECT schedule, end_reason FROM enrolments ORDER BY enrolment") == [
        ("dunning", "removed"),
        ("other", None),
    ]
    again = layby.send("remove_from_schedule", customers=["ann"], schedule="dunning")
    assert again.refusals[0].code == "not_on_schedule"


def test_a_pause_holds_each_schedule_where_it_is_and_resume_goes_on(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    layby.deliver()
    paused = layby.must("pause", customers=["ann"])
    assert (paused.cancelled, paused.started) == (1, 0)
    layby.travel(timedelta(days=1, hours=1))
    layby.deliver()
    assert layby.texts() == []
    layby.must("resume", customers=["ann"])
    layby.deliver()
    assert len(layby.texts()) == 1, "an hour late is not too late"
    assert layby.ledger("ann") == [(0, "sent", "accepted"), (1, "sent", "accepted")]


def test_after_a_long_pause_nothing_bursts(layby: Layby) -> None:
    """What has become too late is skipped, each step with its own line in the ledger."""
    layby.set_up()
    layby.on_schedule("ann")
    layby.must("pause", customers=["ann"])
    layby.travel(timedelta(days=30))
    layby.must("resume", customers=["ann"])
    layby.deliver()
    assert layby.ledger("ann") == [(step, "skipped", "in_time") for step in range(3)]
    assert layby.one("SELECT end_reason FROM enrolments") == "completed"


def test_who_is_assigned_while_paused_hears_from_it_after_the_pause(layby: Layby) -> None:
    layby.set_up()
    layby.add("ann")
    layby.must("activate", customers=["ann"])
    layby.must("pause", customers=["ann"])
    layby.must("assign_schedule", customers=["ann"], schedule="dunning")
    layby.deliver()
    assert layby.mails() == []
    layby.must("resume", customers=["ann"])
    layby.deliver()
    assert len(layby.mails()) == 1


def test_a_held_step_is_accounted_for_when_its_customer_is_moved(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    layby.must("pause", customers=["ann"])
    assert layby.must("move_to_directory", customers=["ann"]).cancelled == 1
    assert layby.ledger("ann") == [(0, "cancelled", "moved")]


def test_customers_stay_on_the_version_that_they_were_assigned(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    shorter = {
        "anchor": "assigned_at",
        "steps": [{"offset": "PT0S", "channel": "sms", "template": "nudge"}],
    }
    layby.must("put_schedule", schedule="dunning", definition=shorter)
    layby.must("put_schedule", schedule="dunning", definition=shorter)
    layby.on_schedule("bob")
    assert layby.rows("SELECT customer, version FROM enrolments ORDER BY 1") == [
        ("ann", 1),
        ("bob", 2),
    ]


def test_who_changes_zone_gets_what_is_pending_at_the_same_local_time_there(
    layby: Layby,
) -> None:
    layby.set_up(schedule=DUE_DATE)
    layby.add("ann", zone="Europe/Paris")
    layby.must("activate", customers=["ann"])
    layby.must("assign_schedule", customers=["ann"], schedule="dunning", due_date="2026-01-07")
    assert layby.one("SELECT due_at FROM pending") == START.replace(day=7, hour=8)
    layby.must("update_customer", customers=["ann"], profile={"zone": "Asia/Tokyo"})
    assert layby.one("SELECT due_at FROM pending") == START.replace(day=7, hour=0)
