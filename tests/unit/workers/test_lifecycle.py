"""The lifecycle worker: places, quotas and order, one command at a time."""

from datetime import UTC, datetime, timedelta

import pytest
from harness import START, Layby

from storage import unapplied, waiting
from storage.outcomes import Outcome
from workers.lifecycle import apply_to


def refusal(outcome: Outcome) -> tuple[str, str]:
    (line,) = outcome.refusals
    return line.code, line.message


def test_move_cancels_what_is_pending_and_is_quiet_at_once(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann", "bob")
    outcome = layby.send("move_to_directory", customers=["ann"])
    assert (outcome.state, outcome.cancelled, outcome.started) == ("applied", 1, 0)
    assert outcome.quiet_at is not None
    layby.deliver()
    assert layby.ledger("ann") == [(0, "cancelled", "moved")]
    assert layby.ledger("bob") == [(0, "sent", "accepted")]


def test_move_of_an_archived_customer_is_applied_and_quiet(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    layby.must("move_to_directory", customers=["ann"])
    again = layby.send("move_to_directory", customers=["ann"])
    assert (again.state, again.cancelled) == ("applied", 0)
    assert again.quiet_at is not None


def test_move_from_reserve_is_refused_with_the_ways_out(layby: Layby) -> None:
    layby.set_up()
    layby.add("ann")
    outcome = layby.send("move_to_directory", customers=["ann"])
    assert outcome.state == "refused"
    assert refusal(outcome) == (
        "wrong_place",
        (
            "Cannot move customer ann to the directory: it is in reserve, and only active "
            "customers are archived. Activate it first, or purge it."
        ),
    )


def test_a_list_is_applied_to_those_it_can_be_and_refused_for_the_others(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    layby.add("bob")
    outcome = layby.send("move_to_directory", customers=["bob", "ann", "nobody"])
    assert (outcome.state, outcome.targets, outcome.applied) == ("partly", 3, 1)
    assert {line.customer: line.code for line in outcome.refusals} == {
        "bob": "wrong_place",
        "nobody": "unknown_customer",
    }


def test_reactivation_leaves_nothing_of_the_earlier_time(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    layby.must("pause", customers=["ann"])
    layby.must("move_to_directory", customers=["ann"])
    layby.must("reactivate", customers=["ann"])
    layby.deliver()
    assert layby.ledger("ann") == [(0, "cancelled", "moved")]
    assert layby.rows("SELECT status, paused_at FROM slots") == [("on_track", None)]


def test_activation_beyond_the_plan_is_refused_and_names_the_ways_out(layby: Layby) -> None:
    layby.set_up(active_limit=1)
    layby.add("ann", "bob")
    outcome = layby.send("activate", customers=["ann", "bob"])
    assert outcome.state == "partly"
    code, message = refusal(outcome)
    assert code == "active_limit"
    assert "all 1 active places of the plan are taken" in message
    assert layby.rows("SELECT active, directory FROM counters") == [(1, 1)]


def test_directory_limit_is_five_times_the_active_limit(layby: Layby) -> None:
    layby.set_up(active_limit=1)
    layby.add(*"abcde")
    outcome = layby.send("add_customer", customers=["f"])
    assert refusal(outcome)[0] == "directory_limit"


def test_move_into_a_full_directory_pauses_and_says_so(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    layby.must("put_account", directory_limit=0)
    outcome = layby.send("move_to_directory", customers=["ann"])
    assert outcome.state == "refused"
    assert outcome.cancelled == 1
    assert outcome.quiet_at is not None
    assert "It is paused instead and hears nothing." in refusal(outcome)[1]
    layby.deliver()
    assert layby.ledger("ann") == []
    assert layby.mails() == []


def test_move_into_a_full_directory_is_refused_where_the_command_asks(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    layby.must("put_account", directory_limit=0)
    outcome = layby.send("move_to_directory", customers=["ann"], if_full="refuse")
    assert (outcome.state, outcome.cancelled, outcome.quiet_at) == ("refused", 0, None)
    layby.deliver()
    assert layby.ledger("ann") == [(0, "sent", "accepted")]


def test_a_plan_lowered_below_what_is_in_use_refuses_growth_and_changes_nobody(
    layby: Layby,
) -> None:
    layby.set_up()
    layby.on_schedule("ann", "bob")
    layby.add("cid")
    layby.must("put_account", active_limit=1)
    assert layby.send("activate", customers=["cid"]).state == "refused"
    assert layby.one("SELECT count(*) FROM slots") == 2
    assert layby.must("move_to_directory", customers=["ann"]).applied == 1


def test_purge_is_for_reserve_without_payments(layby: Layby) -> None:
    layby.set_up()
    layby.add("ann", "bob")
    layby.must("record", customers=["bob"], fact={"fact": "payment"})
    outcome = layby.send("purge", customers=["ann", "bob"])
    assert outcome.applied == 1
    assert refusal(outcome)[0] == "kept"
    assert layby.rows("SELECT customer FROM customers") == [("bob",)]
    assert layby.one("SELECT directory FROM counters") == 1


def test_purge_takes_the_details_out_of_the_commands_that_brought_them(layby: Layby) -> None:
    layby.set_up()
    layby.add("ann")
    layby.must("purge", customers=["ann"])
    assert "ann@example.org" not in layby.one("SELECT string_agg(body::text, '') FROM commands")


def test_a_single_add_may_ask_for_active(layby: Layby) -> None:
    layby.set_up(active_limit=1)
    layby.must("add_customer", customers=["ann"], place="active")
    assert layby.one("SELECT place FROM customers") == "active"
    full = layby.send("add_customer", customers=["bob"], place="active")
    assert refusal(full)[0] == "active_limit"
    assert layby.one("SELECT count(*) FROM customers") == 1


def test_commands_of_a_customer_are_applied_in_order_whichever_is_rung_first(
    layby: Layby,
) -> None:
    """To apply is to apply all that waits for the customer."""
    layby.set_up()
    first = layby.accept("add_customer", customers=["ann"])
    second = layby.accept("activate", customers=["ann"])
    third = layby.accept("move_to_directory", customers=["ann"])
    assert layby.apply(third).state == "applied"
    assert [layby.outcome(command).state for command in (first, second)] == ["applied", "applied"]


def test_very_many_commands_of_a_customer_are_applied_some_at_a_time(
    layby: Layby, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them whole and in order; in one transaction a thousand held everybody up."""
    monkeypatch.setattr(waiting, "MOST", 2)
    layby.set_up()
    layby.on_schedule("ann", "bob")
    both = {"customers": ["ann", "bob"]}
    kinds = ["pause", "resume", "move_to_directory", "reactivate", "pause", "move_to_directory"]
    asked = [
        layby.accept(kind, **both, **({"all_or_none": True} if kind == "reactivate" else {}))
        for kind in kinds
    ]
    apply_to(layby.engine, layby.account, ["ann", "bob"])
    assert [layby.outcome(one).state for one in asked] == ["applied"] * 2 + ["accepted"] * 4
    layby.ring()
    assert [layby.outcome(one).applied for one in asked] == [2] * 6
    told = layby.rows(
        "SELECT event FROM journal WHERE customer = 'bob' ORDER BY entry DESC LIMIT 6"
    )
    assert [event for (event,) in reversed(told)] == [
        "customer_paused",
        "customer_resumed",
        "customer_moved",
        "customer_reactivated",
        "customer_paused",
        "customer_moved",
    ]


def test_set_up_commands_come_before_the_customers_commands_after_them(layby: Layby) -> None:
    layby.accept("put_account", active_limit=1)
    add = layby.accept("add_customer", customers=["ann"])
    assert layby.apply(add).state == "applied"


def test_a_command_for_an_unknown_account_is_refused(layby: Layby) -> None:
    outcome = layby.send("pause", customers=["ann"])
    assert refusal(outcome)[0] == "unknown_account"
    schedule = {
        "anchor": "assigned_at",
        "steps": [{"offset": "PT0S", "channel": "sms", "template": "x"}],
    }
    setup = layby.send("put_schedule", schedule="s", definition=schedule)
    assert setup.state == "refused"
    assert "Create it with put_account" in refusal(setup)[1]


def test_what_ends_silence_is_superseded_by_a_silence_issued_later(layby: Layby) -> None:
    """Whichever arrives first; facts and silences themselves never are."""
    layby.set_up()
    layby.on_schedule("ann")
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    layby.must("move_to_directory", customers=["ann"], issued_at=noon)
    late = layby.send("reactivate", customers=["ann"], issued_at=noon - timedelta(seconds=1))
    assert late.state == "superseded"
    assert late.refusals[0].code == "superseded"
    new = layby.send("reactivate", customers=["ann"], issued_at=noon + timedelta(seconds=1))
    assert new.state == "applied"


def test_a_refused_silence_counts_in_the_order_too(layby: Layby) -> None:
    """Published activate, then move; they arrive the other way round: nobody is activated."""
    layby.set_up()
    layby.add("ann")
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert layby.send("move_to_directory", customers=["ann"], issued_at=noon).state == "refused"
    late = layby.send("activate", customers=["ann"], issued_at=noon - timedelta(minutes=1))
    assert late.state == "superseded"


def test_a_command_issued_far_ahead_is_refused(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    ahead = datetime.now(UTC) + timedelta(minutes=6)
    command = layby.accept("pause", customers=["ann"], issued_at=ahead)
    outcome = layby.outcome(command)
    assert outcome.state == "refused"
    assert "more than five minutes ahead" in refusal(outcome)[1]
    assert layby.one("SELECT count(*) FROM command_targets WHERE state = 'waiting'") == 0


def test_the_same_id_with_other_content_is_quarantined_beside_the_first(layby: Layby) -> None:
    layby.set_up()
    layby.add("ann", "bob")
    layby.must("activate", id="once", customers=["ann"])
    assert layby.must("activate", id="once", customers=["ann"]).applied == 1
    layby.accept("activate", id="once", customers=["bob"])
    assert layby.outcome("once").applied == 1
    (name, problem) = layby.rows(
        "SELECT command, problem FROM commands WHERE state = 'quarantined'"
    )[0]
    assert name.startswith("once#")
    assert "Ids are given once" in problem


def test_a_corrected_command_takes_the_place_of_the_quarantined_one(layby: Layby) -> None:
    layby.set_up()
    layby.add("ann")
    layby.accept("activate", id="typo", customers=[])
    assert layby.outcome("typo").state == "quarantined"
    assert layby.send("activate", id="typo", customers=["ann"]).state == "applied"


def test_a_test_clock_travels_forward_only_and_belongs_to_new_accounts(layby: Layby) -> None:
    layby.set_up()
    back = layby.send("put_account", test_clock=START - timedelta(days=1))
    assert "travels forward only" in refusal(back)[1]
    layby.account = "live"
    layby.must("put_account", active_limit=1)
    assert "is live" in refusal(layby.send("put_account", test_clock=START))[1]


def test_journal_tells_what_happened_by_which_command(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    move = layby.must("move_to_directory", customers=["ann"])
    rows = layby.rows(
        "SELECT j.event, j.data, c.command FROM journal j JOIN commands c USING (account, seq) "
        "WHERE j.customer = 'ann' ORDER BY entry DESC LIMIT 1"
    )
    assert rows == [("customer_moved", {"cancelled": 1}, move.id)]


def test_a_purge_applied_with_the_add_leaves_no_details_either(layby: Layby) -> None:
    layby.set_up()
    layby.accept("add_customer", customers=["ann"], profile={"email": "ann@example.org"})
    purge = layby.accept("purge", customers=["ann"])
    again = layby.accept("add_customer", customers=["ann"], profile={"email": "new@example.org"})
    layby.apply(purge)
    assert layby.outcome(again).state == "applied"
    bodies = layby.one("SELECT string_agg(body::text, '') FROM commands")
    assert "ann@example.org" not in bodies
    assert layby.one("SELECT email FROM customers") == "new@example.org"


def test_unreadable_commands_with_one_id_are_all_kept(layby: Layby) -> None:
    layby.set_up()
    layby.add("ann")
    layby.must("activate", id="used", customers=["ann"])
    for reason in (1, 2, 2):
        layby.accept("activate", id="used", customers=[], reason=str(reason))
    kept = layby.rows("SELECT command FROM commands WHERE state = 'quarantined'")
    assert len(kept) == 2
    assert layby.outcome("used").state == "applied"


SPOIL = """
    CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'spoilt'; END $$;
"""


def test_what_cannot_be_applied_is_set_aside_alone_and_can_be_replayed(layby: Layby) -> None:
    """Kept with its reason (G7); the others of its chunk are applied, and it comes back whole."""
    layby.set_up()
    layby.on_schedule("ann", "bad", "cid")
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            SPOIL + "CREATE TRIGGER spoil BEFORE DELETE ON slots FOR EACH ROW "
            "WHEN (OLD.customer = 'bad') EXECUTE FUNCTION spoil()"
        )
    outcome = layby.send("move_to_directory", customers=["ann", "bad", "cid"])
    assert (outcome.state, outcome.applied) == ("partly", 2)
    code, message = refusal(outcome)
    assert code == "cannot_apply"
    assert "spoilt" in message
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER spoil ON slots")
        assert unapplied.replay(connection, layby.account, outcome.id)
    assert layby.apply(outcome.id).applied == 3
    with layby.engine.begin() as connection:
        assert not unapplied.replay(connection, layby.account, outcome.id)


def test_set_up_that_cannot_be_applied_holds_up_nobody(layby: Layby) -> None:
    layby.set_up()
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            SPOIL + "CREATE TRIGGER spoil BEFORE INSERT ON template_versions FOR EACH ROW "
            "EXECUTE FUNCTION spoil()"
        )
    definition = {"channel": "sms", "default_language": "en", "texts": {"en": {"text": "new"}}}
    outcome = layby.send("put_template", template="nudge", definition=definition)
    assert outcome.state == "quarantined"
    layby.add("ann")
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER spoil ON template_versions")
        assert unapplied.replay(connection, layby.account, outcome.id)
    assert layby.apply(outcome.id).state == "applied"


def test_an_update_to_null_takes_a_detail_away(layby: Layby) -> None:
    layby.set_up()
    layby.add("ann")
    layby.must("update_customer", customers=["ann"], profile={"phone": None})
    assert layby.rows("SELECT phone, email FROM customers") == [(None, "ann@example.org")]
