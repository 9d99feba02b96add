"""Commands submitted in SQL (`layby_submit`, see the migration 0002): committed, not ours yet.

Rows are deleted as they are taken in, never passed by: their keys are given before their
transactions commit, so a reader that goes on from the last key would miss the late ones.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text


class Submission(NamedTuple):
    """A command in waiting: where it stands in the order, and its JSON as jsonb writes it."""

    key: int
    raw: str


def any_waits(connection: Connection) -> bool:
    """Whether there is anything to take in; one look-up, asked all the time."""
    found: bool = connection.execute(text("SELECT EXISTS (SELECT 1 FROM submissions)")).scalar_one()
    return found


def take(connection: Connection, limit: int, stored_bytes: int) -> Sequence[Submission]:
    """Take out the oldest of those that are committed, in order; who comes second waits.

    For the first of them, by key, and then takes what comes behind. No further one is taken with
    those that take up as many bytes as this: on disk, where a long one is compressed, because
    telling how long it is would cost as much as to read it. (By pglz up to 91 times, by lz4 255.)
    """
    rows = connection.execute(
        text(
            """
            WITH oldest AS MATERIALIZED (
                SELECT key, pg_column_size(command) AS bytes
                FROM submissions ORDER BY key LIMIT :limit FOR UPDATE
            ), fitting AS MATERIALIZED (
                SELECT key FROM (
                    SELECT key, sum(bytes) OVER (ORDER BY key) - bytes AS before FROM oldest
                ) counted
                WHERE before < :stored_bytes
            ), taken AS (
                DELETE FROM submissions s USING fitting WHERE s.key = fitting.key
                RETURNING s.key, CAST(s.command AS text) AS raw
            )
            SELECT key, raw FROM taken ORDER BY key
            """
        ),
        {"limit": limit, "stored_bytes": stored_bytes},
    )
    return [Submission(*row) for row in rows]


def waiting_since(connection: Connection, command: str, account: str | None) -> datetime | None:
    """Since when a command of this id waits to be taken in; None: none does."""
    since: datetime | None = connection.execute(
        text(
            "SELECT min(submitted_at) FROM submissions WHERE command->>'id' = :command "
            "AND (CAST(:account AS text) IS NULL OR command->>'account' = :account)"
        ),
        {"command": command, "account": account},
    ).scalar_one()
    return since
