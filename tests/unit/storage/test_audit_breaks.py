"""For each check, what a defect, a restore or a person at the tables could do, and to whom."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from databases import Databases
from harness import Layby
from unit.storage.test_audit_history import execute, found, live_through

from storage.audit import CHECKS


@pytest.fixture(scope="module")
def template(
    databases: Databases, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The history, lived through once, that each test's own database is copied from."""
    with databases.copy(template) as new:
        with Layby(new.shared, Path(tmp_path_factory.mktemp("outbox"))) as layby:
            live_through(layby)
        new.shared.dispose()
        yield new.name


class Break(NamedTuple):
    """Statements that break one thing only. No customer: of a command, an account, the schema."""

    customer: str | None
    sql: str


_NO_KEYS = "SET LOCAL session_replication_role = replica;"
_LEDGER = """
    INSERT INTO sends (account, enrolment, step, customer, channel, state, rule, planned_at,
                       business_at)
    SELECT account, enrolment, {step}, customer, channel, '{state}', 'moved', now(), now()
    FROM pending WHERE customer = 'ann';
"""
_PAUSE_OF_PAM = "kind = 'pause' AND body->'customers' ? 'pam'"
_PAYMENT_OF_PAT = "kind = 'record' AND body->'customers' ? 'pat'"

BREAKS: dict[str, Break] = {
    "pending_of_inactive": Break(
        "ann",
        _NO_KEYS
        + _LEDGER.format(step="step", state="cancelled")
        + """
        UPDATE enrolments SET slot = NULL, ended_at = now(), end_reason = 'moved'
        WHERE customer = 'ann';
        DELETE FROM slots WHERE customer = 'ann';
        UPDATE customers SET place = 'archived' WHERE customer = 'ann';
        UPDATE counters SET active = active - 1, directory = directory + 1
        """,
    ),
    "pending_while_held": Break(
        "pip",
        """
        INSERT INTO pending (account, enrolment, slot, customer, step, channel, planned_at, due_at)
        SELECT account, enrolment, slot, customer, step, channel, planned_at, now()
        FROM started WHERE customer = 'pip';
        DELETE FROM started WHERE customer = 'pip'
        """,
    ),
    "not_held": Break("ann", "UPDATE slots SET paused_at = now() WHERE customer = 'ann'"),
    "started_while_paused": Break(
        "sam",
        """
        UPDATE slots SET paused_at = now() WHERE customer = 'sam';
        UPDATE enrolments SET held = 'paused' WHERE customer = 'sam'
        """,
    ),
    "started_after_end": Break(
        "max",
        """
        UPDATE sends SET state = 'sent', send = 987654, token = gen_random_uuid()
        WHERE customer = 'max' AND state = 'cancelled'
        """,
    ),
    "quiet_in_progress": Break(
        "ida", "UPDATE command_targets SET quiet_at = now() WHERE customer = 'ida' AND open <> '{}'"
    ),
    "quiet_unsaid": Break(
        "pat",
        """
        UPDATE command_targets SET quiet_at = NULL WHERE customer = 'pat' AND open IS NOT NULL;
        UPDATE commands SET done_at = done_at - interval '1 day' WHERE done_at IS NOT NULL
        """,
    ),
    "pending_while_suppressed": Break(
        "ann",
        """
        INSERT INTO suppressions (account, target, aim, kind, channel, order_at, business_at)
        SELECT account, 'ann', 'customer', 'blocked', channel, now(), now()
        FROM accounts, (VALUES ('email'), ('sms')) AS both_of (channel)
        """,
    ),
    "started_while_suppressed": Break(
        "sam",
        """
        INSERT INTO suppressions (account, target, aim, kind, channel, command, order_at,
                                  business_at)
        SELECT t.account, 'sam', 'customer', 'blocked', 'email', c.command, now(), now()
        FROM command_targets t JOIN commands c USING (account, seq)
        WHERE t.customer = 'sam' AND c.kind = 'activate'
        """,
    ),
    "suppression_lost": Break("bo", "DELETE FROM suppressions WHERE target = 'bo'"),
    "slot_iff_active": Break("abe", "DELETE FROM slots WHERE customer = 'abe'"),
    "enrolled_without_slot": Break(
        "max",
        _NO_KEYS
        + """
        UPDATE enrolments
        SET slot = 424242, ended_at = NULL, end_reason = NULL, held = 'paused', step = step + 1
        WHERE customer = 'max'
        """,
    ),
    "targets_counted": Break(
        None,
        "UPDATE command_targets SET state = 'superseded' "
        "WHERE customer = 'ray' AND state = 'refused'",
    ),
    "outcome_told": Break(None, f"UPDATE commands SET state = 'partly' WHERE {_PAUSE_OF_PAM}"),
    "all_or_none_parted": Break(
        None,
        """
        UPDATE command_targets t SET state = 'refused' FROM commands c
        WHERE c.seq = t.seq AND t.customer = 'bea' AND c.kind = 'activate';
        UPDATE commands SET applied = 1, refused = 1, state = 'partly'
        WHERE body @> '{"all_or_none": true}'
        """,
    ),
    "applied_unjournaled": Break("ray", "DELETE FROM journal WHERE customer = 'ray'"),
    "constraint_gone": Break(None, "ALTER TABLE slots DROP CONSTRAINT slots_customers_fkey"),
    "delivered_twice": Break(
        "ann",
        """
        INSERT INTO sends (account, enrolment, step, customer, channel, state, rule, planned_at,
                           business_at, send, token)
        SELECT account, enrolment, step, customer, channel, 'unknown', rule, planned_at,
               business_at, 987654, token
        FROM sends WHERE customer = 'ann' AND state = 'sent'
        """,
    ),
    "started_and_pending": Break(
        "ann",
        """
        INSERT INTO started (account, token, enrolment, slot, customer, step, channel, planned_at,
                             attempts, template, template_version, recipient_hash, decision,
                             business_at, lease_seconds, worker)
        SELECT account, gen_random_uuid(), enrolment, slot, customer, step, channel, planned_at, 1,
               'hello', 1, 'a hash', '{}', now(), 30, 'test'
        FROM pending WHERE customer = 'ann'
        """,
    ),
    "number_twice": Break(
        "carl",
        """
        UPDATE sends SET send = (SELECT send FROM sends WHERE customer = 'carl' AND step = 0)
        WHERE customer = 'carl' AND step = 1
        """,
    ),
    "to_come_again": Break("ann", _LEDGER.format(step="step", state="failed")),
    "not_at_cursor": Break("ann", _LEDGER.format(step="step + 1", state="failed")),
    "stalled": Break("ann", "DELETE FROM pending WHERE customer = 'ann'"),
    "held_for_nothing": Break("zoe", "UPDATE slots SET paused_at = NULL WHERE customer = 'zoe'"),
    "step_lost": Break("ann", "DELETE FROM sends WHERE customer = 'ann' AND step = 0"),
    "end_unaccounted": Break("pat", "DELETE FROM sends WHERE customer = 'pat'"),
    "cursor_past_schedule": Break(
        "pat", "UPDATE enrolments SET end_reason = 'completed' WHERE customer = 'pat'"
    ),
    "wrong_channel": Break(
        "ann", "UPDATE pending SET channel = 'sms', fallback = 'reachable' WHERE customer = 'ann'"
    ),
    "two_outcomes": Break("ann", _LEDGER.format(step="0", state="skipped")),
    "open_vanished": Break(
        "pat",
        "UPDATE command_targets SET open = open || CAST(987654 AS bigint) "
        "WHERE customer = 'pat' AND open IS NOT NULL",
    ),
    "lease_long_over": Break(
        "sam",
        "UPDATE started SET started_at = started_at - interval '1 day' WHERE customer = 'sam'",
    ),
    "due_long_ago": Break(
        "ann",
        """
        UPDATE accounts SET test_now = NULL;
        UPDATE pending SET due_at = now() + interval '1 day';
        UPDATE pending SET due_at = now() - interval '1 day' WHERE customer = 'ann'
        """,
    ),
    "counters_equal_counts": Break(None, "UPDATE counters SET active = active + 1"),
    "finished_while_waiting": Break(
        "pat",
        f"""
        UPDATE command_targets t SET state = 'waiting', open = NULL FROM commands c
        WHERE c.seq = t.seq AND t.customer = 'pat' AND c.kind = 'record';
        UPDATE commands SET applied = 0 WHERE {_PAYMENT_OF_PAT}
        """,
    ),
    "accepted_for_nobody": Break(
        None, f"UPDATE commands SET state = 'accepted', done_at = NULL WHERE {_PAUSE_OF_PAM}"
    ),
    "resolved_not": Break(
        None, "UPDATE commands SET resolved_at = NULL WHERE bulk AND kind = 'add_customer'"
    ),
    "wrong_queue": Break(
        "bea", "UPDATE command_targets SET bulk = false WHERE customer = 'bea' AND bulk"
    ),
    "row_kept": Break(
        "bea",
        """
        ALTER TABLE command_targets DROP CONSTRAINT command_targets_payload_gone;
        UPDATE command_targets SET payload = '{}' WHERE customer = 'bea' AND bulk
        """,
    ),
    "body_unreadable": Break(
        None, f"UPDATE commands SET body = body - 'customers' WHERE {_PAUSE_OF_PAM}"
    ),
    "not_kept": Break(None, "UPDATE commands SET raw = NULL WHERE state = 'quarantined'"),
    "content_twice": Break(
        None,
        "UPDATE commands SET digest = (SELECT digest FROM commands WHERE "
        f"{_PAYMENT_OF_PAT}) WHERE {_PAUSE_OF_PAM}",
    ),
    "accepted_long_ago": Break(
        None,
        "UPDATE commands SET received_at = received_at - interval '1 day' "
        "WHERE state = 'accepted' AND kind = 'move_to_directory'",
    ),
    "submitted_long_ago": Break(
        None, "UPDATE submissions SET submitted_at = submitted_at - interval '1 day'"
    ),
    "started_while_switched_off": Break(
        "ann",
        """
        UPDATE sends SET template = 'unused', send = 987654
        WHERE customer = 'ann' AND state = 'sent'
        """,
    ),
    "applied_while_paused": Break(
        "ray",
        """
        UPDATE journal SET data = data || jsonb_build_object('after_entry', first - 1,
                                                             'entry', first)
        FROM (SELECT min(entry) AS first FROM journal WHERE customer = 'ray') AS of_ray
        WHERE event = 'queue_resumed'
        """,
    ),
    "switch_unjournaled": Break(None, "DELETE FROM journal WHERE event = 'template_paused'"),
    "paid_and_live": Break(
        "ned",
        """
        INSERT INTO facts (account, customer, kind, data, seq, business_at)
        SELECT account, customer, 'payment', '{"reference": "inv-1", "amount": "70.00"}', seq,
               business_at
        FROM facts WHERE customer = 'ned' AND kind = 'payment'
        """,
    ),
    "status_as_marked": Break("ned", "UPDATE slots SET status = 'on_track' WHERE customer = 'ned'"),
    "promise_over": Break(
        "ned", "UPDATE marks SET until = until - interval '200 years' WHERE mark = 'promised'"
    ),
    "belongs_to_enrolment": Break(
        "abe", "UPDATE sends SET customer = 'abe' WHERE customer = 'ann' AND step = 0"
    ),
    "redacted_holds_data": Break(
        "dot", "UPDATE customers SET email = 'dot@example.org' WHERE customer = 'dot'"
    ),
    "redacted_command_kept": Break(
        "dot",
        "UPDATE commands SET body = body - 'erased' "
        "WHERE kind = 'move_to_directory' AND body->'customers' ? 'dot'",
    ),
    "put_off_unexplained": Break(
        "ann", "UPDATE pending SET deferred = 'caps' WHERE customer = 'ann'"
    ),
}


@pytest.mark.parametrize(("name", "broken"), BREAKS.items(), ids=BREAKS.keys())
def test_check_finds_whom_it_concerns_and_no_other_check_does(
    layby: Layby, name: str, broken: Break
) -> None:
    execute(layby, broken.sql)
    assert found(layby) == {name: [broken.customer]}


def test_every_check_has_a_case_that_breaks_it() -> None:
    """A check that was never seen to find anything can't be trusted."""
    assert sorted(BREAKS) == sorted(check.name for check in CHECKS)
