"""Retention prunes what settings say and nothing else, and gets into nobody's way."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from concurrency.interleave import Interleaving, planted
from concurrency.parts import answer, start, started
from harness import Layby
from plans import listen, nodes_of, rows_read
from sqlalchemy import text

from domain.message import Answer
from scheduler.pruning import Pruning
from scheduler.ticks import sweep
from storage import reports
from storage.audit import run_audit
from storage.database import DatabaseError
from storage.retention import Keep
from workers.intake import accept_raw

YEAR = timedelta(days=365)
ALL = Keep(commands=timedelta(days=90), ledger=YEAR, journal=YEAR)


@pytest.fixture
def old(people: Layby) -> Iterator[Layby]:
    """Ann's schedule has ended, Bob's goes on; all that is done was done in January 2020."""
    people.deliver()
    people.must("move_to_directory", customers=["ann"])
    grow_old(people)
    yield people
    assert violations(people) == []


def grow_old(layby: Layby) -> None:
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            """
            CREATE TABLE IF NOT EXISTS sends_202001
                PARTITION OF sends FOR VALUES FROM ('2020-01-01Z') TO ('2020-02-01Z');
            UPDATE sends SET settled_at = '2020-01-10Z';
            UPDATE journal SET recorded_at = '2020-01-10Z';
            UPDATE commands SET done_at = '2020-01-10Z', received_at = '2020-01-10Z'
            WHERE done_at IS NOT NULL
            """
        )


def violations(layby: Layby) -> list[str]:
    with layby.engine.connect() as connection:
        found = run_audit(connection)
    return [one.check.name for one in found if one.found and not one.check.warning]


def kept(layby: Layby) -> list[str]:
    return [row[0] for row in layby.rows("SELECT kind FROM commands ORDER BY seq")]


def test_nothing_is_pruned_that_is_kept_for_ever(old: Layby) -> None:
    assert Pruning(old.engine, Keep()).prune() == 0


def look_again_after(layby: Layby, time: timedelta) -> None:
    """As if the clock had shown so much less when it was looked at last."""
    with layby.engine.begin() as connection:
        connection.execute(
            text("UPDATE leases SET until = until - CAST(:time AS interval)"), {"time": time}
        )


def test_nothing_is_pruned_by_a_clock_that_has_leapt_ahead(people: Layby) -> None:
    """By it all is old, and what is pruned is gone when it is set right."""
    assert Pruning(people.engine, ALL).prune() == 0
    grow_old(people)
    look_again_after(people, timedelta(days=100))
    pruning = Pruning(people.engine, ALL)
    assert pruning.prune() == pruning.prune() == 0
    look_again_after(people, -timedelta(days=100))
    assert pruning.prune() > 0, "it was set right"


def test_clock_that_goes_on_after_a_leap_is_trusted_a_week_later(people: Layby) -> None:
    """No scheduler ran for months: then nothing was wrong with it."""
    assert Pruning(people.engine, ALL).prune() == 0
    grow_old(people)
    look_again_after(people, timedelta(days=100))
    pruning = Pruning(people.engine, ALL)
    for _ in range(8):
        assert pruning.prune() == 0
        look_again_after(people, timedelta(hours=23))
    assert pruning.prune() > 0


def test_token_is_forgotten_once_it_has_been_over_for_as_long_as_commands_are_kept(
    people: Layby,
) -> None:
    ago, ahead = "now() - interval '91 days'", "now() + interval '91 days'"
    ends = {
        "expired": (ago, "NULL"),
        "revoked": (ahead, ago),
        "lives": (ahead, "NULL"),
        "revoked today": (ahead, "now()"),
    }
    with people.engine.begin() as connection:
        for token, (expires_at, revoked_at) in ends.items():
            connection.exec_driver_sql(
                "INSERT INTO tokens (account, token, secret_hash, role, made_by, expires_at, "
                f"revoked_at) VALUES ('acme', '{token}', '', 'viewer', 'test', {expires_at}, "
                f"{revoked_at})"
            )
    assert Pruning(people.engine, ALL).prune() == 2
    assert people.rows("SELECT token FROM tokens ORDER BY 1") == [("lives",), ("revoked today",)]


def test_what_is_done_is_pruned_with_all_that_belongs_to_it(old: Layby) -> None:
    before = old.rows("SELECT customer, place, kept FROM customers ORDER BY 1")
    assert Pruning(old.engine, ALL).prune() > 0
    assert old.one("SELECT count(*) FROM commands") == 0
    assert old.one("SELECT count(*) FROM command_targets") == 0
    assert old.one("SELECT count(*) FROM journal") == 0
    assert old.rows("SELECT customer, step, state FROM sends") == [("bob", 0, "sent")]
    assert old.rows("SELECT customer FROM enrolments") == [("bob",)]
    assert old.rows("SELECT customer, place, kept FROM customers ORDER BY 1") == before
    old.travel(timedelta(days=1))
    old.deliver()
    assert [state for _, state, _ in old.ledger("bob")] == ["sent", "sent"]


def test_ledger_of_a_month_goes_when_nothing_is_in_it_any_more(old: Layby) -> None:
    pruning = Pruning(old.engine, ALL)
    pruning.prune()
    exists = "SELECT to_regclass('sends_202001') IS NOT NULL"
    assert old.one(exists), "what lives on is in it"
    old.must("move_to_directory", customers=["bob"])
    grow_old(old)
    Pruning(old.engine, ALL).prune()
    assert not old.one(exists)
    assert old.one("SELECT count(*) FROM sends") == 0


def test_test_clock_makes_nothing_old(people: Layby) -> None:
    """Retention counts machine time: what was done a moment ago was, whatever the account's day."""
    people.deliver()
    people.must("move_to_directory", customers=["ann", "bob"])
    people.travel(timedelta(days=4000))
    assert Pruning(people.engine, ALL).prune() == 0


def test_what_is_not_done_with_is_kept(people: Layby) -> None:
    start(people.engine, people.account)
    people.must("move_to_directory", customers=["ann"])
    people.accept("pause", customers=["bob"])
    people.accept("explode", customers=["bob"])
    people.must("update_customer", customers=["bob"], profile={"name": "Rob"})
    with people.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE command_targets SET state = 'refused', code = 'cannot_apply' "
            "WHERE seq = (SELECT max(seq) FROM commands); "
            "UPDATE commands SET state = 'refused', applied = 0, refused = 1 "
            "WHERE seq = (SELECT max(seq) FROM commands)"
        )
    people.accept("pause", customers=["bob"])
    grow_old(people)
    Pruning(people.engine, ALL).prune()
    waits_for_quiet, quarantined, to_be_replayed, accepted = (
        "move_to_directory",
        "explode",
        "update_customer",
        "pause",
    )
    assert set(kept(people)) == {waits_for_quiet, quarantined, to_be_replayed, accepted}
    assert people.one("SELECT count(*) FROM journal WHERE event = 'customer_moved'") == 1


def test_command_that_found_a_send_in_progress_goes_after_that_send(people: Layby) -> None:
    """It is the proof that the send began before the move."""
    start(people.engine, people.account)
    people.must("move_to_directory", customers=["ann"])
    answer(people.engine, started(people.engine, people.account), Answer.ACCEPTED)
    sweep(people.engine)
    grow_old(people)
    Pruning(people.engine, Keep(commands=YEAR)).prune()
    assert kept(people) == ["move_to_directory"]
    assert violations(people) == []
    Pruning(people.engine, Keep(ledger=YEAR)).prune()
    assert people.ledger("ann") == []
    assert violations(people) == []
    Pruning(people.engine, Keep(commands=YEAR)).prune()
    assert kept(people) == []


def test_pruned_id_is_a_new_one(old: Layby) -> None:
    """Republishing is for as long as commands are kept."""
    ((first, body),) = old.rows(
        "SELECT command, CAST(body AS text) FROM commands WHERE kind = 'move_to_directory'"
    )
    Pruning(old.engine, ALL).prune()
    again = {**json.loads(body), "customers": ["ann"]}
    with old.engine.begin() as connection:
        accepted = accept_raw(connection, json.dumps(again).encode(), "test")
    assert accepted is not None
    assert (accepted.command, accepted.fresh) == (first, True)
    old.apply(first)


def test_pruning_waits_for_nobody_and_nobody_for_it(old: Layby, between: Interleaving) -> None:
    """Starts, moves and reports go on beside it, also for customers of whom something goes."""
    old.must("reactivate", customers=["ann"])
    old.must("assign_schedule", customers=["ann"], schedule="dunning")
    pruning = between.stopped(Pruning(old.engine, ALL).prune, having="DELETE FROM enrolments")
    begun = between.run(lambda: start(old.engine, old.account)).result()
    assert len(begun) == 1
    old.must("move_to_directory", customers=["ann", "bob"])
    with old.engine.connect() as connection:
        told = reports.timeline(connection, old.account, "ann")
    assert [row["event"] for row in told if row["event"].startswith("send_")][:1] == ["send_sent"]
    pruning.go().result()
    assert [state for _, state, _ in old.ledger("ann")] == []
    assert [state for _, state, _ in old.ledger("bob")] == ["sent", "cancelled"]


def test_command_that_another_one_holds_is_passed_by(old: Layby, between: Interleaving) -> None:
    """A replay, a purge: it goes within the hour, if it is still to go then."""
    replaying = between.stopped(
        lambda: touch(old, "UPDATE commands SET problem = NULL WHERE kind = 'activate'"),
        having="UPDATE commands",
    )
    Pruning(old.engine, ALL).prune()
    replaying.go().result()
    assert kept(old) == ["activate"]


TO_BE_REPLAYED = """
    INSERT INTO commands (account, command, kind, digest, door, state, targets, refused, done_at)
    SELECT 'acme', 'old-' || n, 'pause', '', 'test', 'refused', 1, 1, '2020-01-10Z'
    FROM generate_series(1, 3000) AS n;

    INSERT INTO command_targets (account, customer, seq, state, code)
    SELECT account, command, seq, 'refused', 'cannot_apply'
    FROM commands WHERE starts_with(command, 'old-');

    INSERT INTO journal (account, event, seq, business_at, recorded_at)
    SELECT account, '', seq, done_at, done_at FROM commands WHERE starts_with(command, 'old-');

    ANALYZE
"""


def test_what_is_kept_for_a_reason_is_not_read_at_each_tick(people: Layby) -> None:
    touch(people, TO_BE_REPLAYED)
    pruning = Pruning(people.engine, Keep(commands=YEAR, journal=YEAR))
    assert pruning.prune() == 0
    said = listen(people.engine)
    assert pruning.prune() == 0
    nodes = list(nodes_of(people.engine, said))
    assert {"commands", "journal"} <= {node.get("Relation Name") for node in nodes}
    for node in nodes:
        assert rows_read(node) < 50, node


def test_what_was_kept_for_a_reason_goes_once_that_is_over_and_an_hour_has_passed(
    people: Layby, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(people, TO_BE_REPLAYED)
    pruning, hour_over = (Pruning(people.engine, Keep(commands=YEAR)) for _ in range(2))
    assert pruning.prune() == 0
    monkeypatch.setattr("scheduler.pruning._WALK_AGAIN_SECONDS", 0.0)
    assert hour_over.prune() == 0
    touch(people, "UPDATE command_targets SET code = NULL WHERE code = 'cannot_apply'")
    assert pruning.prune() == 0
    assert hour_over.prune() == 3000


def touch(layby: Layby, sql: str) -> None:
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(sql)


def test_pruning_what_lives_fails_on_the_key(old: Layby) -> None:
    """Planted: enrolments that have not ended are pruned too. G3's key refuses."""
    with planted(old.engine, "WHERE e.slot IS NULL", "WHERE true"), pytest.raises(DatabaseError):
        Pruning(old.engine, ALL).prune()


def test_audit_finds_the_ledger_of_what_lives_gone(people: Layby) -> None:
    """Planted: the sends of a live enrolment are pruned, and the enrolment is not."""
    people.deliver()
    grow_old(people)
    with (
        planted(people.engine, "WHERE e.slot IS NULL", "WHERE true"),
        planted(
            people.engine, "DELETE FROM enrolments e USING old", "SELECT 1 FROM enrolments e, old"
        ),
    ):
        Pruning(people.engine, Keep(ledger=YEAR)).prune()
    assert violations(people) == ["step_lost"]


def test_tick_prunes_no_longer_than_its_turn(old: Layby, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is there for the next one."""
    monkeypatch.setattr("scheduler.pruning.TURN_SECONDS", 0.0)
    assert Pruning(old.engine, ALL).prune() == 0
