"""The audit finds what is broken, whom it concerns, and nothing else."""

from datetime import timedelta
from pathlib import Path

import pytest
from harness import Layby, numbered
from unit.storage.test_audit_breaks import BREAKS
from unit.storage.test_audit_history import audit, execute, found, settle, start, sweep

from domain.message import Answer
from storage.audit import CHECKS
from storage.audit.schema import KEPT_BY


@pytest.mark.parametrize(("table", "constraint"), [kept[:2] for kept in KEPT_BY])
def test_each_constraint_is_missed_when_dropped(layby: Layby, table: str, constraint: str) -> None:
    execute(layby, f"ALTER TABLE {table} DROP CONSTRAINT {constraint} CASCADE")
    (result,) = (result for result in audit(layby) if result.found)
    assert result.violations[0].detail == f"table {table}, constraint {constraint}: is missing"


@pytest.mark.parametrize("weakened", ["ON DELETE CASCADE", "NOT VALID", "DEFERRABLE"])
def test_weakened_constraint_is_found(layby: Layby, weakened: str) -> None:
    execute(
        layby,
        "ALTER TABLE enrolments DROP CONSTRAINT enrolments_slots_fkey, "
        "ADD CONSTRAINT enrolments_slots_fkey FOREIGN KEY (account, slot) "
        f"REFERENCES slots (account, slot) {weakened}",
    )
    (result,) = (result for result in audit(layby) if result.found)
    assert weakened in result.violations[0].detail


def test_foreign_key_with_its_triggers_off_is_found(layby: Layby) -> None:
    execute(layby, "ALTER TABLE slots DISABLE TRIGGER ALL")
    (result,) = (result for result in audit(layby) if result.found)
    assert {violation.detail.rsplit(": ")[1] for violation in result.violations} == {
        "is switched off"
    }


def test_table_that_a_crash_empties_is_found(layby: Layby) -> None:
    execute(layby, "ALTER TABLE pending SET UNLOGGED")
    (result,) = (result for result in audit(layby) if result.found)
    assert result.violations[0].detail == "table pending: a crash of the server empties it"


def test_leak_that_a_later_move_lists_as_open_is_still_found(layby: Layby) -> None:
    """Only the move that ended the schedule says what began before it."""
    layby.set_up()
    layby.on_schedule("ann")
    start(layby, "ann")
    layby.must("move_to_directory", customers=["ann"])
    execute(layby, "UPDATE command_targets SET open = '{}', quiet_at = now() WHERE open <> '{}'")
    layby.travel(timedelta(minutes=1))
    assert layby.must("move_to_directory", customers=["ann"]).started == 1
    assert found(layby) == {"started_after_end": ["ann"]}
    settle(layby, "ann", Answer.ACCEPTED)
    sweep(layby)
    assert found(layby) == {"started_after_end": ["ann"]}


def test_body_that_a_purge_took_the_profile_from_can_be_read(layby: Layby) -> None:
    layby.set_up()
    layby.add("ann")
    layby.must("update_customer", customers=["ann"], profile={"name": "Ann"})
    layby.must("purge", customers=["ann"])
    assert layby.one("SELECT count(*) FROM commands WHERE body->'profile' <> '{}'") == 0
    assert found(layby) == {}


def test_violations_beyond_the_shown_are_counted(layby: Layby) -> None:
    layby.set_up(active_limit=200)
    layby.add(*numbered("c", 1))
    execute(
        layby,
        "INSERT INTO customers (account, customer, place) "
        "SELECT 'acme', 'd-' || n, 'active' FROM generate_series(1, 150) AS n;"
        "UPDATE counters SET active = 150",
    )
    (result,) = (result for result in audit(layby) if result.found)
    assert (result.check.name, result.found, len(result.violations)) == (
        "slot_iff_active",
        150,
        100,
    )


def test_audit_of_one_account_leaves_the_others_out(layby: Layby) -> None:
    """But for the schema, which is everybody's."""
    layby.set_up()
    layby.on_schedule("ann")
    execute(layby, "DELETE FROM pending; UPDATE commands SET body = '{}'")
    assert found(layby, "acme").keys() == {"stalled", "body_unreadable"}
    execute(layby, "ALTER TABLE slots DROP CONSTRAINT slots_customers_fkey")
    assert found(layby, "other").keys() == {"constraint_gone"}


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("stalled", "DELETE FROM pending"),
        ("held_for_nothing", "DELETE FROM pending; UPDATE enrolments SET held = 'paused'"),
        ("not_held", "UPDATE slots SET paused_at = now()"),
        ("started_and_pending", BREAKS["started_and_pending"].sql),
    ],
)
def test_pause_mends_what_its_remedy_says_it_mends(layby: Layby, name: str, sql: str) -> None:
    """Advice that makes things worse is worse than none."""
    layby.set_up()
    layby.on_schedule("ann")
    execute(layby, sql)
    assert found(layby).keys() == {name}
    layby.must("pause", customers=["ann"])
    assert found(layby) == {}
    layby.must("resume", customers=["ann"])
    assert found(layby) == {}


def test_docs_tell_every_check() -> None:
    """docs/audit.md has one row for each, in the audit's own words."""
    page = (Path(__file__).parents[3] / "docs" / "audit.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and "`" in line]
    assert rows == [
        f"| {check.guarantee} | `{check.name}`{' (warning)' if check.warning else ''} "
        f"| {check.question} | {check.remedy} |"
        for check in CHECKS
    ]
