"""Bulk commands: resolved once to targets, then found chunk by chunk on a queue of their own."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from domain.commands import Command, CommandState, read_kept
from domain.import_rows import AimedRow
from domain.suppression import Recipient
from storage import filters, suppressions
from storage.switches import BULK_RUNS

Position = tuple[int, str]
"""Seq and customer: how far a turn has come in what waits."""

START: Position = (0, "")


def aim_rows(connection: Connection, account: str, seq: int, rows: Sequence[AimedRow]) -> None:
    """The targets of an import that is just accepted; rows that can't be read are refused."""
    connection.execute(
        text(
            """
            WITH row AS (
                SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
                     AS row (customer text, payload jsonb, code text, message text)
            ), aimed AS (
                INSERT INTO command_targets
                       (account, customer, seq, bulk, payload, state, code, message)
                SELECT :account, customer, :seq, true, payload,
                       CASE WHEN code IS NULL THEN 'waiting' ELSE 'refused' END, code, message
                FROM row RETURNING state
            ), counted AS (
                SELECT count(*) FILTER (WHERE state = 'refused') AS refused, count(*) AS rows
                FROM aimed
            )
            UPDATE commands SET refused = n.refused,
                   state = CASE WHEN n.refused = n.rows THEN 'refused' ELSE 'accepted' END,
                   done_at = CASE WHEN n.refused = n.rows THEN clock_timestamp() END
            FROM counted n WHERE account = :account AND seq = :seq
            """
        ),
        {
            "account": account,
            "seq": seq,
            "rows": json.dumps(
                [
                    {
                        "customer": row.customer,
                        # A null would be JSON's own, which is not NULL.
                        **({"payload": row.payload} if row.payload is not None else {}),
                        **(row.refusal._asdict() if row.refusal is not None else {}),
                    }
                    for row in rows
                ]
            ),
        },
    )


def first_unresolved(connection: Connection, account: str) -> int | None:
    """The oldest bulk command of an account that has not all of its targets; none while paused."""
    found: int | None = connection.execute(
        text(
            "SELECT min(seq) FROM commands WHERE account = :account AND state = 'accepted' "
            f"AND bulk AND resolved_at IS NULL AND {BULK_RUNS}"
        ),
        {"account": account},
    ).scalar_one()
    return found


class Unresolved(NamedTuple):
    """A command that is being resolved, and how far. `targets`: of a filter, those found so far."""

    seq: int
    command: Command
    to: str | None
    listed: bool
    targets: int
    order_at: datetime


def lock_unresolved(connection: Connection, account: str, seq: int) -> Unresolved | None:
    """Hold a command that has not all of its targets yet; None: it has them."""
    row = connection.execute(
        text(
            "SELECT body, resolved_to, listed IS NOT NULL, targets, "
            "least(coalesce(issued_at, received_at), received_at) FROM commands "
            "WHERE account = :account AND seq = :seq AND state = 'accepted' AND bulk "
            "AND resolved_at IS NULL FOR NO KEY UPDATE"
        ),
        {"account": account, "seq": seq},
    ).one_or_none()
    return Unresolved(seq, read_kept(row[0], bulk=True), *row[1:]) if row is not None else None


class Chunk(NamedTuple):
    """What one step of resolving came to."""

    to: str | None
    looked: int
    found: int


def aim_listed(connection: Connection, account: str, seq: int, after: int, limit: int) -> Chunk:
    """Targets for the next customers of a list; those that a later command brought are there."""
    looked: int = connection.execute(
        text(
            """
            WITH chunk AS (
                SELECT customer, position FROM commands,
                       unnest(listed[:after + 1 : :after + :limit]) WITH ORDINALITY
                       AS l (customer, position)
                WHERE account = :account AND seq = :seq
            ), aimed AS (
                INSERT INTO command_targets (account, customer, seq, bulk)
                SELECT :account, customer, :seq, true FROM chunk ORDER BY position
                ON CONFLICT DO NOTHING
            )
            SELECT count(*) FROM chunk
            """
        ),
        {"account": account, "seq": seq, "after": after, "limit": limit},
    ).scalar_one()
    return Chunk(str(after + looked), looked, 0)


def aim_filtered(
    connection: Connection,
    account: str,
    seq: int,
    after: str | None,
    limit: int,
    ask: dict[str, object],
) -> Chunk:
    """Targets for those of the next customers, by id, who fit a filter."""
    row = connection.execute(
        text(
            f"""
            WITH looked AS MATERIALIZED (
                SELECT customer, place, created_at, redacted_at FROM customers
                WHERE account = :account AND customer > :after ORDER BY customer LIMIT :limit
            ), aimed AS (
                INSERT INTO command_targets (account, customer, seq, bulk)
                SELECT :account, customer, :seq, true FROM ({filters.MATCHING}) AS matching
                RETURNING 1
            )
            SELECT (SELECT max(customer) FROM looked), (SELECT count(*) FROM looked),
                   (SELECT count(*) FROM aimed)
            """
        ),
        {**ask, "account": account, "seq": seq, "after": after or "", "limit": limit},
    ).one()
    return Chunk(*row)


def aim_having(
    connection: Connection, account: str, seq: int, after: str, limit: int, recipient: Recipient
) -> Chunk:
    """Targets for those of the next customers, by id, who have this recipient now."""
    row = connection.execute(
        text(
            f"""
            WITH looked AS MATERIALIZED (
                SELECT customer FROM customers
                WHERE account = :account AND customer > :after
                  AND {suppressions.whose(recipient)}
                ORDER BY customer LIMIT :limit
            ), aimed AS (
                INSERT INTO command_targets (account, customer, seq, bulk)
                SELECT :account, customer, :seq, true FROM looked RETURNING 1
            )
            SELECT (SELECT max(customer) FROM looked), (SELECT count(*) FROM looked),
                   (SELECT count(*) FROM aimed)
            """
        ),
        {
            "account": account,
            "seq": seq,
            "after": after,
            "limit": limit,
            "recipient": recipient.value,
        },
    ).one()
    return Chunk(*row)


def resolved_to(
    connection: Connection, account: str, seq: int, chunk: Chunk, *, whole: bool
) -> None:
    """Note how far a command is resolved; with all of its targets, it may be over at once."""
    connection.execute(
        text(
            """
            UPDATE commands SET resolved_to = coalesce(:to, resolved_to), targets = targets + :found
            WHERE account = :account AND seq = :seq
            """
        ),
        {"account": account, "seq": seq, "to": chunk.to, "found": chunk.found},
    )
    if whole:
        connection.execute(text(_RESOLVED), {"account": account, "seq": seq})


_RESOLVED = """
    UPDATE commands SET resolved_at = clock_timestamp(), listed = NULL,
        state = CASE
            WHEN applied + refused + superseded < targets THEN 'accepted'
            WHEN applied = targets THEN 'applied'
            WHEN applied > 0 THEN 'partly'
            WHEN superseded = targets THEN 'superseded'
            ELSE 'refused' END,
        done_at = CASE WHEN applied + refused + superseded = targets THEN clock_timestamp() END
    WHERE account = :account AND seq = :seq
"""


def finish(
    connection: Connection, account: str, seq: int, state: CommandState, problem: str
) -> None:
    """Refuse a command as a whole, before it has found anybody."""
    connection.execute(
        text(
            "UPDATE commands SET state = :state, problem = :problem, "
            "resolved_at = clock_timestamp(), done_at = clock_timestamp() "
            "WHERE account = :account AND seq = :seq"
        ),
        {"account": account, "seq": seq, "state": state, "problem": problem},
    )


def waiting(connection: Connection, account: str, after: Position, limit: int) -> list[Position]:
    """The next bulk targets that wait, in order; nothing behind this turn is looked at again."""
    rows = connection.execute(
        text(
            "SELECT seq, customer FROM command_targets WHERE account = :account "
            "AND state = 'waiting' AND bulk AND (seq, customer) > (:seq, :customer) "
            f"AND {BULK_RUNS} "
            "ORDER BY seq, customer LIMIT :limit"
        ),
        {"account": account, "seq": after[0], "customer": after[1], "limit": limit},
    )
    return [(row.seq, row.customer) for row in rows]


def members(connection: Connection, account: str, seqs: Sequence[int]) -> list[str]:
    """All for whom one of these commands waits."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT customer FROM command_targets WHERE account = :account "
            "AND seq = ANY(CAST(:seqs AS bigint[])) AND state = 'waiting'"
        ),
        {"account": account, "seqs": list(seqs)},
    )
    return [row.customer for row in rows]
