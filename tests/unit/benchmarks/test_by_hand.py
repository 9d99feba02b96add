"""A peer that writes less than the engine would flatter nobody but itself."""

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from harness import Layby

from benchmarks import by_hand
from storage.audit import run_audit

TABLES: dict[str, LiteralString] = {
    "customers": "SELECT place, kept, silenced_at IS NULL FROM customers WHERE customer = %s",
    "slots": "SELECT slot FROM slots WHERE customer = %s",
    "enrolments": """
        SELECT slot, step, held, ended_at IS NULL, end_reason FROM enrolments WHERE customer = %s
    """,
    "pending": "SELECT step FROM pending WHERE customer = %s",
    "sends": """
        SELECT step, channel, state, rule, attempts, planned_at FROM sends WHERE customer = %s
    """,
    "journal": """
        SELECT event, data, seq IS NULL FROM journal
        WHERE customer = %s AND event = 'customer_moved'
    """,
    "outcomes": """
        SELECT c.kind, c.state, c.targets, c.applied, c.done_at IS NULL,
               t.state, t.code, t.cancelled, t.open, t.unknown, t.quiet_at IS NULL
        FROM command_targets t JOIN commands c USING (account, seq)
        WHERE t.customer = %s AND c.kind = 'move_to_directory'
    """,
}


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def test_move_by_hand_leaves_what_a_move_by_the_engine_leaves(
    layby: Layby, connection: psycopg.Connection
) -> None:
    """The same rows in every table, and a database that the audit finds whole."""
    layby.set_up()
    layby.on_schedule("engine", "hand")
    layby.must("move_to_directory", customers=["engine"])
    by_hand.move(connection, layby.account, ["hand"], sends_each=1)
    engine, hand = (_rows(connection, customer) for customer in ("engine", "hand"))
    assert hand == engine
    assert {table for table, rows in engine.items() if not rows} == {"slots", "pending"}
    with layby.engine.connect() as auditing:
        assert [result.check.name for result in run_audit(auditing) if result.found] == []


def _rows(connection: psycopg.Connection, customer: str) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: connection.execute(query, [customer]).fetchall() for table, query in TABLES.items()
    }
