"""Blocks and opt-outs: what they cancel, what goes on, what lifts them."""

from typing import Any

import pytest
from concurrency.interleave import errors_by_state
from concurrency.invariants import broken
from concurrency.parts import answer, start, started
from harness import SCHEDULE, Layby
from sqlalchemy import event

from domain.message import Answer
from workers.bulk import apply_bulk
from workers.resolving import resolve_some

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


def test_only_its_schedule_is_silenced_where_a_silence_names_one(people: Layby) -> None:
    people.must("put_schedule", schedule="news", definition=SCHEDULE)
    people.must("assign_schedule", customers=["ann"], schedule="news")
    assert people.must("opt_out", customers=["ann"], schedule="news").cancelled == 1
    live = people.rows("SELECT schedule FROM enrolments WHERE customer = 'ann' AND slot > 0")
    assert live == [("dunning",)]
    refused = people.send("assign_schedule", customers=["ann"], schedule="news")
    assert [line.code for line in refused.refusals] == ["no_consent"]
    assert "ann has opted out" not in refused.refusals[0].message
    people.must("assign_schedule", customers=["ann"], schedule="dunning", reference="another")


def test_what_is_started_is_reported_and_the_next_step_that_may_go_follows(people: Layby) -> None:
    start(people.engine, people.account, room=1)
    outcome = people.must("opt_out", customers=["ann", "bob"], channel="email")
    assert (outcome.cancelled, outcome.started, outcome.quiet_at) == (1, 1, None)
    answer(people.engine, started(people.engine, people.account), Answer.TEMPORARY)
    people.deliver()
    people.must("put_account", test_clock="2026-01-05T10:00:00Z")
    people.deliver()
    (again,) = people.rows("SELECT customer, state, rule FROM sends WHERE state = 'skipped'")
    assert again[1:] == ("skipped", "consent")
    assert broken(people.engine) == {}


def test_customers_who_share_a_number_are_silenced_by_one_command(people: Layby) -> None:
    with errors_by_state(people.engine) as errors:
        people.must("block", customers=["ann", "bob"], channel="sms")
    assert errors == {}
    by = people.rows("SELECT aim, target FROM suppressions WHERE aim = 'customer' ORDER BY 2")
    assert by == [("customer", "ann"), ("customer", "bob")]
    assert people.rows("SELECT customer FROM suppressions WHERE aim = 'number'") == [("ann",)]
    entries = people.rows("SELECT count(*) FROM journal WHERE event = 'customer_blocked'")
    assert entries == [(2,)]


def test_what_a_second_silence_ends_is_not_quiet_before_what_the_first_one_found(
    people: Layby,
) -> None:
    """An email in progress of a schedule that only the text messages kept going."""
    start(people.engine, people.account, room=1)
    people.must("opt_out", customers=["ann", "bob"], channel="email")
    second = people.must("opt_out", customers=["ann", "bob"], channel="sms")
    assert (second.started, second.quiet_at) == (1, None)


def test_held_step_stays_where_it_is_until_the_resume(people: Layby) -> None:
    people.must("pause", customers=["ann"])
    assert people.must("opt_out", customers=["ann"], channel="email").cancelled == 0
    people.must("resume", customers=["ann"])
    people.deliver()
    assert people.ledger("ann") == [(0, "skipped", "consent")]
    people.must("pause", customers=["ann"])
    assert people.must("opt_out", customers=["ann"], channel="sms").cancelled == 1
    assert broken(people.engine) == {}


@pytest.mark.parametrize(
    "way",
    [
        {"customers": ["ann"], "channel": "email"},
        {"address": "ANN@example.org"},
        {"domain": "example.org"},
    ],
)
def test_silence_survives_purge_and_re_import(layby: Layby, way: dict[str, Any]) -> None:
    """As a keyed hash: the same customer, or another one with its address, is added again."""
    layby.set_up()
    layby.add("ann")
    layby.must("block", **way)
    layby.must("purge", customers=["ann"])
    csv = "id,name,email,phone\nann,Ann,Ann@Example.org,\neve,Eve,ann@example.org,\n"
    layby.must("import_customers", csv=csv)
    layby.must("activate", customers=["ann", "eve"])
    email_only = {**SCHEDULE, "steps": SCHEDULE["steps"][::2]}
    layby.must("put_schedule", schedule="mail", definition=email_only)
    refused = layby.send("assign_schedule", customers=["ann", "eve"], schedule="mail")
    assert [line.code for line in refused.refusals] == ["no_consent"] * 2
    layby.must("assign_schedule", customers=["ann", "eve"], schedule="dunning")
    layby.deliver()
    for customer in ("ann", "eve"):
        assert layby.ledger(customer) == [(0, "skipped", "consent")]
    kept = layby.rows("SELECT to_jsonb(s)::text FROM suppressions s")
    assert kept
    assert not any("example.org" in row.lower() or "+800" in row for (row,) in kept)


LIFTS = {"unblock": "blocked", "opt_in": "opted_out", "unsuppress": "suppressed"}


@pytest.mark.parametrize("lifting", LIFTS)
def test_each_silence_is_lifted_by_its_own_kind_only(people: Layby, lifting: str) -> None:
    consent = {"consent": CONSENT} if lifting == "opt_in" else {}
    people.must("block", customers=["ann"])
    people.must("opt_out", customers=["ann"])
    people.must("suppress", customers=["ann"])
    people.must(lifting, customers=["ann"], **consent)
    left = sorted(set(LIFTS.values()) - {LIFTS[lifting]})
    kinds = people.rows("SELECT DISTINCT kind FROM suppressions ORDER BY 1")
    assert [kind for (kind,) in kinds] == left
    (again,) = people.send(lifting, customers=["ann"], **consent).refusals
    assert again.code == "nothing_to_lift"
    assert "What stands is another thing: " in again.message
    refused = people.send("assign_schedule", customers=["ann"], schedule="dunning")
    assert [line.code for line in refused.refusals] == ["no_consent"]


def test_what_was_cancelled_stays_cancelled_when_the_silence_is_lifted(people: Layby) -> None:
    people.must("block", customers=["ann"])
    people.must("unblock", customers=["ann"])
    people.deliver()
    assert people.ledger("ann") == [(0, "cancelled", "blocked")]
    people.must("assign_schedule", customers=["ann"], schedule="dunning")
    people.deliver()
    assert people.ledger("ann") == [(0, "cancelled", "blocked"), (0, "sent", "accepted")]
    assert people.rows("SELECT 1 FROM suppressions") == []


def test_lifting_goes_by_the_addresses_that_were_recorded_and_those_of_now(people: Layby) -> None:
    """A changed address is forgotten with the block, and a number is opted in for its customers."""
    people.must("opt_out", customers=["ann"])
    people.must("update_customer", customers=["ann"], profile={"email": "ann@elsewhere.example"})
    people.must("opt_in", number="+80012345678", consent=CONSENT)
    assert people.rows("SELECT aim, channel FROM suppressions ORDER BY 1, 2") == [
        ("address", "email"),
        ("customer", "email"),
    ]
    people.must("opt_in", customers=["ann"], consent=CONSENT)
    assert people.rows("SELECT 1 FROM suppressions") == []


EARLY, MIDDLE = "2026-01-05T07:00:00Z", "2026-01-05T07:30:00Z"


@pytest.mark.parametrize("way", [{"customers": ["ann"]}, {"number": "+80012345678"}])
def test_lifting_issued_before_a_silence_is_superseded_by_it(
    people: Layby, way: dict[str, Any]
) -> None:
    """Also where the silence had been said before already: the latest one counts."""
    people.must("opt_out", **way, issued_at=EARLY)
    people.must("opt_out", **way)
    late = people.send("opt_in", **way, consent=CONSENT, issued_at=MIDDLE)
    assert (late.state, late.applied) == ("superseded", 0)
    assert people.one("SELECT count(*) FROM suppressions") > 0
    people.must("opt_in", **way, consent=CONSENT)
    assert people.rows("SELECT 1 FROM suppressions WHERE channel = 'sms'") == []


def test_silence_of_a_channel_and_a_pause_do_not_supersede_each_others_end(people: Layby) -> None:
    people.must("opt_out", customers=["ann"], channel="sms", issued_at=EARLY)
    people.must("pause", customers=["ann"])
    people.must("opt_in", customers=["ann"], consent=CONSENT, issued_at=MIDDLE)
    people.must("opt_out", customers=["bob"])
    people.must("update_customer", customers=["bob"], profile={"name": "Bob"})
    people.add("cid")
    people.must("opt_out", customers=["cid"])
    people.must("activate", customers=["cid"], issued_at=EARLY)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"customers": ["zoe"]}, "unknown_customer"),
        ({"customers": ["ann"], "schedule": "nothing"}, "unknown_schedule"),
        ({"domain": "example.org", "schedule": "nothing"}, "refused"),
    ],
)
def test_silence_that_would_silence_nobody_is_refused(
    people: Layby, fields: dict[str, Any], code: str
) -> None:
    outcome = people.send("block", **fields)
    assert (outcome.state, [line.code for line in outcome.refusals]) == ("refused", [code])
    assert people.rows("SELECT 1 FROM suppressions") == []


def test_domain_is_unblocked_by_itself_and_says_so(people: Layby) -> None:
    people.must("block", domain="example.org")
    (refusal,) = people.send("unblock", customers=["ann"]).refusals
    assert refusal.message == (
        "Cannot unblock customer ann: it is not blocked for email or sms. What stands is another "
        "thing: its domain is blocked for email. Lift that."
    )
    people.must("block", customers=["ann"])
    people.must("unblock", domain="example.org")
    assert people.rows("SELECT DISTINCT aim FROM suppressions ORDER BY 1") == [
        ("address",),
        ("customer",),
        ("number",),
    ]


def test_wide_silence_goes_on_after_a_crash_and_is_applied_only_when_all_is_taken_out(
    people: Layby,
) -> None:
    block = people.accept("block", domain="example.org")
    seq = people.one("SELECT max(seq) FROM commands")
    assert resolve_some(people.engine, people.account, seq)
    assert people.outcome(block).state == "accepted"
    assert not resolve_some(people.engine, people.account, seq)
    assert (people.outcome(block).state, people.outcome(block).targets) == ("accepted", 2)
    assert people.rows("SELECT step, channel FROM pending") == [(0, "email")] * 2
    apply_bulk(people.engine, people.account)
    outcome = people.outcome(block)
    assert (outcome.state, outcome.applied, outcome.cancelled) == ("applied", 2, 2)
    assert people.rows("SELECT step, channel FROM pending") == [(1, "sms")] * 2
    assert broken(people.engine) == {}


def test_who_has_another_address_when_its_turn_comes_is_left_alone(people: Layby) -> None:
    people.accept("update_customer", customers=["ann"], profile={"email": "a@elsewhere.example"})
    block = people.accept("block", domain="example.org")
    seq = people.one("SELECT max(seq) FROM commands")
    while resolve_some(people.engine, people.account, seq):
        pass
    outcome = people.apply(block)
    assert (outcome.state, outcome.applied) == ("partly", 1)
    assert [line.code for line in outcome.refusals] == ["no_longer_matches"]
    assert people.ledger("bob") == [(0, "cancelled", "blocked")]
    assert people.ledger("ann") == []


def test_account_without_suppressions_is_asked_nothing_more_at_a_start(people: Layby) -> None:
    """And one that has some, one statement more."""
    people.on_schedule("cid")
    start(people.engine, people.account, room=1)  # reads the schedule, once
    without = _statements_of_a_start(people)
    people.must("block", domain="spam.example")
    assert _statements_of_a_start(people) == without + 1


def _statements_of_a_start(layby: Layby) -> int:
    said: list[str] = []

    def listens(*given: Any) -> None:
        said.append(given[2])

    event.listen(layby.engine, "before_cursor_execute", listens)
    assert start(layby.engine, layby.account, room=1)
    event.remove(layby.engine, "before_cursor_execute", listens)
    return len(said)
