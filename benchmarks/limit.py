"""`limit`: what PostgreSQL itself does here, given the same rows to write and nothing else.

For each send a planned row (unique key, index on due), an update to started and one to settled:
three statements and three commits for a thousand sends, on two connections, beside a million rows.
The values come from the client, as they do for any engine; rows are found by their key.
"""

import threading
from itertools import count
from typing import LiteralString
from uuid import uuid4

import psycopg

from config.machine_time import Deadline, machine_seconds

_BATCH = 1_000
_CONNECTIONS = 2
_APART = 1_000_000_000
"""Each connection plans numbers of its own."""

_TABLE: tuple[LiteralString, ...] = (
    """
    CREATE TABLE raw_sends (
        send bigint PRIMARY KEY, account text NOT NULL, customer text NOT NULL,
        step int NOT NULL, channel text NOT NULL, due_at timestamptz NOT NULL,
        state text NOT NULL, token uuid)
    """,
    "CREATE INDEX raw_sends_due_idx ON raw_sends (due_at)",
)
_ROWS: LiteralString = """
    INSERT INTO raw_sends
    SELECT n, 'energy', 'c-' || n, 0, 'email', now() + n * interval '1 second', 'planned'
    FROM generate_series(1, %s) AS n
"""
_PLAN: LiteralString = """
    INSERT INTO raw_sends
    SELECT send, 'energy', customer, 0, 'email', now(), 'planned'
    FROM unnest(%s::bigint[], %s::text[]) AS planned (send, customer)
"""
_START: LiteralString = "UPDATE raw_sends SET state = 'started', token = %s WHERE send = ANY(%s)"
_SETTLE: LiteralString = "UPDATE raw_sends SET state = 'settled' WHERE send = ANY(%s)"


class Limit:
    """Raw SQL on a table of its own."""

    def __init__(self, database_url: str, rows: int) -> None:
        self._url = database_url
        self._next = [count(_APART * (1 + one), _BATCH) for one in range(_CONNECTIONS)]
        with psycopg.connect(database_url, autocommit=True) as connection:
            for statement in _TABLE:
                connection.execute(statement)
            connection.execute(_ROWS, [rows])
            connection.execute("VACUUM ANALYZE raw_sends")

    def rate(self, seconds: float) -> float:
        """Sends a second over a window of time."""
        done = [0] * _CONNECTIONS
        began = machine_seconds()
        until = Deadline(began + seconds)
        threads = [
            threading.Thread(target=self._write, args=(one, until, done))
            for one in range(_CONNECTIONS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(done) / (machine_seconds() - began)

    def _write(self, one: int, until: Deadline, done: list[int]) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not until.passed:
                first = next(self._next[one])
                sends = list(range(first, first + _BATCH))
                connection.execute(_PLAN, [sends, [f"c-{send}" for send in sends]])
                connection.execute(_START, [uuid4(), sends])
                connection.execute(_SETTLE, [sends])
                done[one] += _BATCH
