"""How the database is asked: how often for a move, and by which plans for it and for a tick."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
import redis
from backlog import a_thousand_accounts, make_due
from harness import START, Layby
from plans import Said, listen, nodes_of, plan_of, rows_read
from redis.connection import AbstractConnection
from sqlalchemy import text

from scheduler.ticks import ring, sweep
from workers.broker import _AT_ONCE, RedisBell, make_broker
from workers.lifecycle import apply_to

BEGIN_AND_COMMIT = 2

HISTORY = """
INSERT INTO accounts (account) SELECT 'other-' || n FROM generate_series(1, 3000) n;

INSERT INTO counters (account, active_limit, directory_limit)
SELECT account, 10, 50 FROM accounts WHERE account LIKE 'other-%';

INSERT INTO commands (account, command, kind, body, digest, door, state, targets, applied, done_at)
SELECT 'acme', 'old-' || n, 'pause', jsonb '{}', '', 'test', 'applied', 1, 1, now()
FROM generate_series(1, 3000) n
UNION ALL
SELECT 'acme', 'new-' || n, 'pause', '{}', '', 'test', 'accepted', 1, 0, NULL
FROM generate_series(1, 3000) n;

INSERT INTO command_targets (account, customer, seq, state)
SELECT account, 'b-' || split_part(command, '-', 2), seq,
       CASE WHEN command LIKE 'new-%' THEN 'waiting' ELSE 'applied' END
FROM commands WHERE command LIKE 'old-%' OR command LIKE 'new-%';

INSERT INTO started (account, token, enrolment, slot, customer, step, channel, planned_at, attempts,
                     template, template_version, recipient_hash, decision, business_at,
                     lease_seconds, worker)
SELECT account, gen_random_uuid(), enrolment, slot, customer, 0, 'email', now(), 1, 'hello', 1, '',
       '{}', now(), 30, ''
FROM enrolments WHERE customer LIKE 'b-%';

INSERT INTO marks (account, slot, mark, reference)
SELECT account, slot, 'late', reference FROM enrolments WHERE customer LIKE 'b-%';

ANALYZE;
"""
"""What there is in a database that is used: who reads all of it, is seen to."""

ALWAYS_FEW = {"switches", "schedule_versions"}


@pytest.fixture
def said(layby: Layby, database_url: str) -> Said:
    """What a move of a customer with ten pending sends says."""
    layby.set_up()
    for name in ("ann", "bob"):
        layby.on_schedule(name)
    for number in range(9):
        reference = f"invoice-{number}"
        layby.must("assign_schedule", customers=["ann"], schedule="dunning", reference=reference)
    make_due(layby.engine, "acme", 3000)
    with psycopg.connect(database_url) as connection:
        connection.execute(HISTORY)
    move = layby.accept("move_to_directory", customers=["ann"])
    said = listen(layby.engine)
    apply_to(layby.engine, layby.account, ["ann"])
    statements = said.copy()
    assert layby.outcome(move).cancelled == 10
    return statements


def test_move_takes_six_round_trips_at_most(said: Said) -> None:
    """Lock, read, archive, finish; however many sends are pending."""
    assert len(said) + BEGIN_AND_COMMIT <= 6, said


def test_every_plan_of_a_move_goes_by_an_index(layby: Layby, said: Said) -> None:
    """So none of it depends on how much there is."""
    with layby.engine.connect() as connection:
        scans = [
            scan
            for statement, values in said
            for scan in plan_of(connection, statement, values)
            if "Relation Name" in scan or "Index Name" in scan
        ]
    assert {scan["Relation Name"] for scan in scans if "Relation Name" in scan} >= {
        *("customers", "slots", "enrolments", "pending", "started"),
        *("commands", "command_targets", "accounts", "counters", "marks"),
    }
    for scan in scans:
        if scan.get("Relation Name") not in ALWAYS_FEW and scan["Node Type"] != "ModifyTable":
            assert scan["Node Type"] in BY_INDEX, scan
            assert "Index Cond" in scan or scan["Node Type"] == "Bitmap Heap Scan", scan


def test_idle_tick_reads_as_little_of_many_as_of_few(
    layby: Layby, redis_client: redis.Redis
) -> None:
    layby.set_up()
    make_due(layby.engine, "acme", 3000, at=START + timedelta(days=1))
    with layby.engine.begin() as connection:
        connection.execute(text(PROMISES), {"until": START + timedelta(days=1)})
        connection.execute(text("ANALYZE"))
    said = listen(layby.engine)
    assert ring(layby.engine, RedisBell(make_broker(redis_client))).due + sweep(layby.engine) == 0
    for node in nodes_of(layby.engine, said):
        assert rows_read(node) < 50, node


def test_tick_over_a_thousand_accounts_asks_no_oftener_than_by_slices(
    layby: Layby, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database as often as for none; Redis for each slice to number, look up, and enqueue."""
    bell = RedisBell(make_broker(redis_client))
    bell.due("nobody", "email")  # scripts are loaded once
    trips: list[tuple[Any, ...]] = []
    send = AbstractConnection.send_packed_command

    def count(*sent: Any, **options: Any) -> None:
        trips.append(sent)
        send(*sent, **options)  # type: ignore[no-untyped-call] # redis-py's own is untyped

    monkeypatch.setattr(AbstractConnection, "send_packed_command", count)
    idle = listen(layby.engine)
    assert ring(layby.engine, bell).due == 0
    statements = len(idle)
    a_thousand_accounts(layby)
    idle.clear()
    assert ring(layby.engine, bell) == (1000, 1000)
    assert len(idle) == statements
    assert len(trips) == 3 * 1000 / _AT_ONCE
    trips.clear()
    assert ring(layby.engine, bell) == (1000, 1000)
    assert len(trips) == 1000 / _AT_ONCE
    assert redis_client.llen("layby:email") == 1 + 1000


PROMISES = """
    INSERT INTO marks (account, slot, mark, until)
    SELECT account, slot, 'promised', :until FROM slots
"""

BY_INDEX = ("Index Scan", "Index Only Scan", "Bitmap Index Scan", "Bitmap Heap Scan")
