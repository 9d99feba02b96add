"""Blocks and opt-outs: what they cancel, what goes on, what lifts them."""

from typing import Any

import pytest
from concurrency.invariants import broken
from harness import Layby

EMAIL_ONLY: dict[str, Any] = {
    "anchor": "assigned_at",
    "steps": [
        {"offset": "PT0S", "channel": "email", "template": "hello"},
        {"offset": "P1D", "channel": "email", "template": "hello"},
    ],
}
CONSENT = {"source": "START", "at": "2026-01-05T08:00:00Z"}


@pytest.fixture
def people(layby: Layby) -> Layby:
    """Ann and Bob, active, each with the first send of email, SMS, email due now."""
    layby.set_up()
    layby.on_schedule("ann", "bob")
    return layby


def test_opt_out_of_a_channel_cancels_its_sends_and_goes_on_with_the_others(people: Layby) -> None:
    outcome = people.must("opt_out", customers=["ann"], channel="email")
    assert (outcome.cancelled, outcome.started) == (1, 0)
    assert outcome.quiet_at is not None
    assert people.ledger("ann") == [(0, "cancelled", "opted_out")]
    assert people.rows("SELECT step, channel FROM pending WHERE customer = 'ann'") == [(1, "sms")]
    assert people.rows("SELECT step, channel FROM pending WHERE customer = 'bob'") == [(0, "email")]
    assert broken(people.engine) == {}


def test_opt_out_of_everything_ends_all_that_it_forbids(people: Layby) -> None:
    assert people.must("opt_out", customers=["ann"]).cancelled == 1
    assert people.ledger("ann") == [(0, "cancelled", "opted_out")]
    ended = people.rows("SELECT end_reason FROM enrolments WHERE customer = 'ann'")
    assert ended == [("opted_out",)]
    assert people.one("SELECT place FROM customers WHERE customer = 'ann'") == "active"
    assert broken(people.engine) == {}


def test_steps_with_no_way_to_go_are_cancelled_on_the_way_to_one_that_has(layby: Layby) -> None:
    steps = [
        {"offset": f"P{day}D", "channel": channel, "template": template}
        for day, (channel, template) in enumerate(
            [("email", "hello"), ("email", "hello"), ("sms", "nudge"), ("email", "hello")]
        )
    ]
    layby.set_up(schedule={"anchor": "assigned_at", "steps": steps})
    layby.on_schedule("ann")
    assert layby.must("block", customers=["ann"], channel="email").cancelled == 2
    assert layby.ledger("ann") == [(0, "cancelled", "blocked"), (1, "cancelled", "blocked")]
    assert layby.rows("SELECT step, channel FROM pending") == [(2, "sms")]
    assert broken(layby.engine) == {}
