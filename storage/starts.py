"""Starting sends: take what is due, read the facts, and hand it over once only."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text


class Due(NamedTuple):
    """A due send with all that the gate and the template need, read under its slot's lock."""

    enrolment: int
    slot: int
    customer: str
    step: int
    channel: str
    planned_at: datetime
    due_at: datetime
    attempts: int
    schedule: str
    version: int
    reference: str
    anchor_date: date | None
    anchor_at: datetime | None
    values: dict[str, Any]
    name: str | None
    recipient: str | None
    zone: str | None
    language: str | None


class Start(NamedTuple):
    """One send to be started."""

    enrolment: int
    template: str
    template_version: int
    recipient_hash: str
    decision: str
    """JSON."""


class Skipped(NamedTuple):
    """One send that a rule refused."""

    enrolment: int
    rule: str
    reason: str
    decision: str


def lock_due(
    connection: Connection, account: str, channel: str, now: datetime, limit: int
) -> list[int]:
    """Hold up to `limit` due sends and their slots, oldest first; what others hold is skipped.

    Only locks: facts are read by `read_due`, in a statement of its own, or they could be older
    than the locks.
    """
    rows = connection.execute(
        text(
            """
            SELECT p.enrolment FROM pending p
            JOIN slots s ON s.account = p.account AND s.slot = p.slot
            WHERE p.account = :account AND p.channel = :channel AND p.due_at <= :now
            ORDER BY p.due_at LIMIT :limit
            FOR NO KEY UPDATE OF s SKIP LOCKED FOR UPDATE OF p SKIP LOCKED
            """
        ),
        {"account": account, "channel": channel, "now": now, "limit": limit},
    )
    return [row.enrolment for row in rows]


def read_due(connection: Connection, account: str, enrolments: Sequence[int]) -> list[Due]:
    """The facts of held sends, as committed now."""
    rows = connection.execute(
        text(
            """
            SELECT p.enrolment, p.slot, p.customer, p.step, p.channel, p.planned_at, p.due_at,
                   p.attempts, e.schedule, e.version, e.reference, e.anchor_date, e.anchor_at,
                   c."values" || e."values", c.name,
                   CASE p.channel WHEN 'email' THEN c.email ELSE c.phone END, c.zone, c.language
            FROM unnest(CAST(:enrolments AS bigint[])) AS held (enrolment),
            LATERAL (SELECT * FROM pending p
                     WHERE p.account = :account AND p.enrolment = held.enrolment OFFSET 0) p,
            LATERAL (SELECT * FROM enrolments e
                     WHERE e.account = :account AND e.enrolment = p.enrolment OFFSET 0) e,
            LATERAL (SELECT * FROM customers c
                     WHERE c.account = :account AND c.customer = p.customer OFFSET 0) c
            """
        ),
        {"account": account, "enrolments": list(enrolments)},
    )
    return [Due(*row) for row in rows]


def take(
    connection: Connection,
    account: str,
    starts: Sequence[Start],
    *,
    token: UUID,
    now: datetime,
    lease_seconds: int,
    worker: str,
) -> dict[int, int]:
    """Move held sends from pending to started; returns {enrolment: send}."""
    enrolments, templates, versions, hashes, decisions = zip(*starts, strict=True)
    rows = connection.execute(
        text(_TAKE),
        {
            "account": account,
            "token": token,
            "now": now,
            "lease_seconds": lease_seconds,
            "worker": worker,
            "enrolments": list(enrolments),
            "templates": list(templates),
            "versions": list(versions),
            "hashes": list(hashes),
            "decisions": list(decisions),
        },
    )
    return {row.enrolment: row.send for row in rows}


_TAKE = """
    WITH s AS MATERIALIZED (
        SELECT s.*, found.tid
        FROM unnest(CAST(:enrolments AS bigint[]), CAST(:templates AS text[]),
                    CAST(:versions AS int[]), CAST(:hashes AS text[]),
                    CAST(:decisions AS jsonb[]))
             AS s (enrolment, template, template_version, recipient_hash, decision),
        LATERAL (SELECT ctid AS tid FROM pending p
                 WHERE p.account = :account AND p.enrolment = s.enrolment OFFSET 0) found
    ), taken AS (
        DELETE FROM pending p USING s WHERE p.ctid = s.tid AND p.enrolment = s.enrolment
        RETURNING p.*, s.template, s.template_version, s.recipient_hash, s.decision
    )
    INSERT INTO started (account, token, enrolment, slot, customer, step, channel, planned_at,
                         attempts, template, template_version, recipient_hash, decision,
                         business_at, lease_seconds, worker)
    SELECT account, :token, enrolment, slot, customer, step, channel, planned_at, attempts + 1,
           template, template_version, recipient_hash, decision, :now, :lease_seconds, :worker
    FROM taken
    RETURNING enrolment, send
"""


def skip(connection: Connection, account: str, skipped: Sequence[Skipped], now: datetime) -> None:
    """Move held sends from pending to the ledger: a rule said no."""
    enrolments, rules, reasons, decisions = zip(*skipped, strict=True)
    connection.execute(
        text(
            """
            WITH s AS MATERIALIZED (
                SELECT s.*, found.tid
                FROM unnest(CAST(:enrolments AS bigint[]), CAST(:rules AS text[]),
                            CAST(:reasons AS text[]), CAST(:decisions AS jsonb[]))
                     AS s (enrolment, rule, reason, decision),
                LATERAL (SELECT ctid AS tid FROM pending p
                         WHERE p.account = :account AND p.enrolment = s.enrolment OFFSET 0) found
            ), taken AS (
                DELETE FROM pending p USING s WHERE p.ctid = s.tid AND p.enrolment = s.enrolment
                RETURNING p.*, s.rule, s.reason, s.decision
            )
            INSERT INTO sends (account, enrolment, step, customer, channel, state, rule, detail,
                               decision, planned_at, business_at, attempts)
            SELECT account, enrolment, step, customer, channel, 'skipped', rule, reason, decision,
                   planned_at, :now, attempts
            FROM taken
            """
        ),
        {
            "account": account,
            "now": now,
            "enrolments": list(enrolments),
            "rules": list(rules),
            "reasons": list(reasons),
            "decisions": list(decisions),
        },
    )


def defer(connection: Connection, account: str, until: Sequence[tuple[int, datetime]]) -> None:
    """Move held sends to a later moment."""
    enrolments, moments = zip(*until, strict=True)
    connection.execute(
        text(
            "UPDATE pending p SET due_at = d.due_at "
            "FROM unnest(CAST(:enrolments AS bigint[]), CAST(:moments AS timestamptz[])) "
            "AS d (enrolment, due_at) WHERE p.account = :account AND p.enrolment = d.enrolment"
        ),
        {"account": account, "enrolments": list(enrolments), "moments": list(moments)},
    )


def due_queues(connection: Connection) -> list[tuple[str, str]]:
    """The (account, channel) pairs with something due, each by its own clock.

    Skips from pair to pair along the index, so it costs by the pair, not by the send.
    """
    rows = connection.execute(
        text(
            """
            WITH RECURSIVE pair AS (
                (SELECT account, channel FROM pending ORDER BY account, channel LIMIT 1)
                UNION ALL
                SELECT later.account, later.channel FROM pair, LATERAL (
                    SELECT p.account, p.channel FROM pending p
                    WHERE (p.account, p.channel) > (pair.account, pair.channel)
                    ORDER BY p.account, p.channel LIMIT 1
                ) later
            )
            SELECT pair.account, pair.channel FROM pair JOIN accounts a USING (account)
            WHERE EXISTS (SELECT 1 FROM pending p
                          WHERE p.account = pair.account AND p.channel = pair.channel
                            AND p.due_at <= coalesce(a.test_now, statement_timestamp()))
            """
        )
    )
    return [(row.account, row.channel) for row in rows]
