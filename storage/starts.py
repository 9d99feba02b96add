"""Starting sends: take what is due, read the facts, and hand it over once only."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from domain.message import Channel
from domain.switch import Paused
from storage import suppressions
from storage.columns import moments, numbers, texts, tids
from storage.often import Often
from storage.switches import COMMANDS_PAUSED, HELD, PAUSED_HERE, sends_run


class Held(NamedTuple):
    """A due send as it is in `pending`, locked together with its slot."""

    tid: str
    """Where its row is, until the transaction ends."""
    enrolment: int
    slot: int
    customer: str
    step: int
    planned_at: datetime
    attempts: int
    deferred: str | None
    fallback: str | None
    """By its step's fallback: the rule that closed its own channel."""


class Due(NamedTuple):
    """A held send with all that the gate and the template need, read under its slot's lock."""

    held: Held
    schedule: str
    version: int
    reference: str
    anchor_date: date | None
    anchor_at: datetime | None
    values: dict[str, Any]
    name: str | None
    recipient: str | None
    zone: str | None
    """The customer's own, or derived."""
    own_zone: str | None
    """Its own alone: where else it may be, a derived one does not say."""
    language: str | None
    shift_seconds: int
    command_waits: bool
    """Looked at only while a queue of commands is paused, or where that put the send off."""
    phone: str | None
    country: str | None
    messaged_at: datetime | None
    """When the enrolment's last message went out, or may have; and when that one was due."""
    messaged_for: datetime | None
    messages: int
    """How many the customer has had, if asked for."""
    recent: Sequence[tuple[str, str, str]] | None
    """(moment, channel, reference) of each, where they are as many as was asked for."""
    any_suppressed: bool
    """Whether the account has suppressions at all: then they are to be looked up."""

    @property
    def step(self) -> int:
        return self.held.step


class Start(NamedTuple):
    """One held send to be started."""

    held: Held
    recipient_hash: str
    text: tuple[str, int, str]
    """Template, its version, and the decision as JSON: mostly the same for many."""


class Taken(NamedTuple):
    """A send that is started now."""

    send: int
    tid: str
    """Where its row is, until a fact marks it."""


class Skipped(NamedTuple):
    """One held send that a rule refused."""

    held: Held
    rule: str
    reason: str
    decision: str


class Deferred(NamedTuple):
    """One held send that a rule put off, and what is recorded of it (None: nothing)."""

    held: Held
    until: datetime
    rule: str
    decision: str | None


class CountBack(NamedTuple):
    """Which messages are counted."""

    since: datetime
    settled_since: datetime | None
    """What is counted was settled between these, by machine time; None: not known."""
    settled_until: datetime | None
    each_from: int
    """Where there are as many as this, each is told."""


def lock_due(
    connection: Connection, account: str, channel: Channel, now: datetime, limit: int, seen: int = 0
) -> list[Held]:
    """Hold up to `limit` due sends and their slots, oldest first; what others hold is skipped.

    None on a database that was restored, or is older than the epoch `seen` (storage/fence.py).

    Only what is locked is read: other facts are read by `read_due`, in a statement of its own, or
    they could be older than the locks.
    """
    rows = _LOCK_DUE.rows(
        connection,
        {"account": account, "channel": channel, "now": now, "limit": limit, "seen": seen},
    )
    return [Held._make(row) for row in rows]


_LOCK_DUE = Often(
    f"""
    WITH p AS MATERIALIZED (
        SELECT ctid, account, enrolment, slot, customer, step, planned_at, attempts, deferred,
               fallback
        FROM pending p
        WHERE p.account = :account AND p.channel = :channel AND p.due_at <= :now
          AND layby_may_send(:seen) AND {HELD}
        ORDER BY p.due_at LIMIT (SELECT :limit) FOR UPDATE SKIP LOCKED
    )
    SELECT CAST(p.ctid AS text), p.enrolment, p.slot, p.customer, p.step, p.planned_at, p.attempts,
           p.deferred, p.fallback
    FROM p, LATERAL (SELECT slot FROM slots s
                     WHERE s.account = p.account AND s.slot = p.slot
                     FOR NO KEY UPDATE SKIP LOCKED) s
    """
)


def read_due(
    connection: Connection,
    account: str,
    channel: Channel,
    held: Sequence[Held],
    count_back: CountBack | None = None,
) -> tuple[list[Due], Paused]:
    """The facts of held sends, as committed now, and what is paused.

    With `count_back` also each customer's recent messages, whichever schedule or slot they are of.
    """
    rows = _READ_DUE[channel, count_back is not None].rows(
        connection,
        {
            "account": account,
            "enrolments": numbers(one.enrolment for one in held),
            "customers": texts(one.customer for one in held),
            "again": any(one.deferred == "command_waits" for one in held),
            **(count_back._asdict() if count_back is not None else {}),
        },
    )
    due = [Due(held[number - 1], *facts) for number, *facts, _ in rows]
    paused: list[tuple[str, str]] = next((named for *_, named in rows if named is not None), [])
    return due, Paused(frozenset((scope, name) for scope, name in paused))


# Those of an enrolment that ended before had started before. Without bounds on when they were
# settled each look-up would ask every month of the ledger.
_MESSAGES = """
    enrolments o, LATERAL (
        SELECT s.business_at AS at, s.channel FROM sends s
        WHERE s.account = :account AND s.enrolment = o.enrolment
          AND s.state IN ('sent', 'unknown') AND s.business_at > :since
          AND s.settled_at >= coalesce(CAST(:settled_since AS timestamptz), '-infinity')
          AND s.settled_at <= coalesce(CAST(:settled_until AS timestamptz), 'infinity')
        UNION ALL
        SELECT s.business_at, s.channel FROM started s
        WHERE s.account = :account AND s.enrolment = o.enrolment
        OFFSET 0) m
    WHERE o.account = :account AND o.customer = held.customer
      AND (o.ended_at IS NULL OR o.ended_at > :since)
"""

# Most have had few, and then their number is enough: that each is told costs as much again.
_COUNT = f", LATERAL (SELECT count(*) AS n FROM {_MESSAGES} OFFSET 0) n"
_EACH = f"""
    CASE WHEN n.n >= :each_from
         THEN (SELECT json_agg(json_build_array(m.at, m.channel, o.reference)) FROM {_MESSAGES}) END
"""

_READ_DUE = {
    (channel, counting): Often(
        f"""
        SELECT held.number, e.schedule, e.version, e.reference, e.anchor_date, e.anchor_at,
               c."values" || e."values", c.name, c.{address},
               coalesce(c.zone, c.derived_zone), c.zone, c.language, e.shift_seconds,
               CASE WHEN {COMMANDS_PAUSED} OR :again
                    THEN EXISTS (SELECT 1 FROM command_targets t
                                 WHERE t.account = :account AND t.customer = held.customer
                                   AND t.state = 'waiting')
                      OR EXISTS (SELECT 1 FROM commands c
                                 WHERE c.account = :account AND c.state = 'accepted' AND c.bulk
                                   AND c.resolved_at IS NULL AND held.customer = ANY(c.listed))
                    ELSE false END,
               c.phone, c.country, e.messaged_at, e.messaged_for,
               {f"n.n, {_EACH}" if counting else "0, NULL"},
               {suppressions.ANY},
               CASE held.number WHEN 1 THEN {PAUSED_HERE} END
        FROM ROWS FROM (unnest(CAST(:enrolments AS bigint[])),
                        json_array_elements_text(CAST(:customers AS json)))
             WITH ORDINALITY AS held (enrolment, customer, number),
        LATERAL (SELECT * FROM enrolments e
                 WHERE e.account = :account AND e.enrolment = held.enrolment OFFSET 0) e,
        LATERAL (SELECT * FROM customers c
                 WHERE c.account = :account AND c.customer = held.customer OFFSET 0) c
        {_COUNT if counting else ""}
        """
    )
    for channel, address in ((Channel.EMAIL, "email"), (Channel.SMS, "phone"))
    for counting in (False, True)
}


def take(
    connection: Connection,
    account: str,
    starts: Sequence[Start],
    *,
    token: UUID,
    now: datetime,
    lease_seconds: int,
    worker: str,
) -> dict[int, Taken]:
    """Move held sends from pending to started; returns them by enrolment."""
    texts_of: dict[tuple[str, int, str], int] = {}
    numbered = [texts_of.setdefault(one.text, len(texts_of)) for one in starts]
    rows = _TAKE.rows(
        connection,
        {
            "account": account,
            "token": token,
            "now": now,
            "lease_seconds": lease_seconds,
            "worker": worker,
            "tids": tids(one.held.tid for one in starts),
            "hashes": texts(one.recipient_hash for one in starts),
            "numbers": numbers(numbered),
            "alike": "[" + ",".join(_said(n, *alike) for alike, n in texts_of.items()) + "]",
        },
    )
    return {enrolment: Taken(send, tid) for enrolment, send, tid in rows}


def _said(number: int, template: str, version: int, decision: str) -> str:
    said = {"number": number, "template": template, "template_version": version}
    return f'{json.dumps(said)[:-1]}, "decision": {decision}}}'


_TAKE = Often(
    """
    WITH s AS MATERIALIZED (
        SELECT d.tid, d.recipient_hash, alike.*
        FROM ROWS FROM (unnest(CAST(:tids AS tid[])),
                        json_array_elements_text(CAST(:hashes AS json)),
                        unnest(CAST(:numbers AS int[])))
             AS d (tid, recipient_hash, number)
        JOIN json_to_recordset(CAST(:alike AS json))
             AS alike (number int, template text, template_version int, decision jsonb)
        USING (number)
    ), taken AS (
        DELETE FROM pending p USING s
        WHERE p.ctid = ANY(CAST(:tids AS tid[])) AND p.ctid = s.tid
        RETURNING p.*, s.template, s.template_version, s.recipient_hash, s.decision
    )
    INSERT INTO started (account, token, enrolment, slot, customer, step, channel, planned_at,
                         attempts, template, template_version, recipient_hash, decision,
                         business_at, lease_seconds, worker)
    SELECT account, :token, enrolment, slot, customer, step, channel, planned_at, attempts + 1,
           template, template_version, recipient_hash, decision, :now, :lease_seconds, :worker
    FROM taken
    RETURNING enrolment, send, CAST(ctid AS text)
    """
)


def skip(connection: Connection, account: str, skipped: Sequence[Skipped], now: datetime) -> None:
    """Move held sends from pending to the ledger: a rule said no."""
    held, rules, reasons, decisions = zip(*skipped, strict=True)
    connection.execute(
        text(
            """
            WITH s AS MATERIALIZED (
                SELECT * FROM ROWS FROM (
                    unnest(CAST(:tids AS tid[])),
                    json_array_elements_text(CAST(:rules AS json)),
                    json_array_elements_text(CAST(:reasons AS json)),
                    json_array_elements_text(CAST(:decisions AS json)))
                AS s (tid, rule, reason, decision)
            ), taken AS (
                DELETE FROM pending p USING s
                WHERE p.ctid = ANY(CAST(:tids AS tid[])) AND p.ctid = s.tid
                RETURNING p.*, s.rule, s.reason, s.decision
            )
            INSERT INTO sends (account, enrolment, step, customer, channel, state, rule, detail,
                               decision, planned_at, business_at, attempts)
            SELECT account, enrolment, step, customer, channel, 'skipped', rule, reason,
                   CAST(decision AS jsonb), planned_at, :now, attempts
            FROM taken
            """
        ),
        {
            "account": account,
            "now": now,
            "tids": tids(one.tid for one in held),
            "rules": texts(rules),
            "reasons": texts(reasons),
            "decisions": texts(decisions),
        },
    )


def defer(
    connection: Connection, account: str, deferred: Sequence[Deferred], now: datetime
) -> None:
    """Move held sends to a later moment, each by a rule, and record why.

    A rule that puts the same step off again keeps one record, with its first and its last time.
    """
    held, due_ats, rules, decisions = zip(*deferred, strict=True)
    connection.execute(
        _DEFER,
        {
            "account": account,
            "now": now,
            "tids": tids(one.tid for one in held),
            "due_ats": moments(due_ats),
            "rules": texts(rules),
            "decisions": texts(decisions),
        },
    )


_DEFER = text(
    """
    WITH d AS MATERIALIZED (
        SELECT * FROM ROWS FROM (
            unnest(CAST(:tids AS tid[])),
            unnest(CAST(:due_ats AS timestamptz[])),
            json_array_elements_text(CAST(:rules AS json)),
            json_array_elements_text(CAST(:decisions AS json)))
        AS d (tid, due_at, rule, decision)
    ), put_off AS (
        UPDATE pending p SET due_at = d.due_at, deferred = d.rule FROM d
        WHERE p.ctid = ANY(CAST(:tids AS tid[])) AND p.ctid = d.tid
        RETURNING p.*, d.decision
    )
    INSERT INTO deferrals AS r (account, enrolment, step, rule, customer, channel, planned_at,
                                decision, until, first_at, last_at)
    SELECT account, enrolment, step, deferred, customer, channel, planned_at,
           CAST(decision AS jsonb), due_at, :now, :now
    FROM put_off WHERE decision IS NOT NULL
    ON CONFLICT (account, enrolment, step, rule) DO UPDATE SET
        decision = excluded.decision, until = excluded.until, planned_at = excluded.planned_at,
        channel = excluded.channel, last_at = excluded.last_at, times = r.times + 1
    """
)


def divert(connection: Connection, diverted: Sequence[tuple[Held, str, str]]) -> None:
    """Move held sends to another channel's queue, each by the rule that closed its own."""
    held, channels, rules = zip(*diverted, strict=True)
    connection.execute(
        text(
            "UPDATE pending p SET channel = d.channel, fallback = d.rule, deferred = NULL "
            "FROM ROWS FROM (unnest(CAST(:tids AS tid[])), "
            "                json_array_elements_text(CAST(:channels AS json)), "
            "                json_array_elements_text(CAST(:rules AS json))) "
            "AS d (tid, channel, rule) "
            "WHERE p.ctid = ANY(CAST(:tids AS tid[])) AND p.ctid = d.tid"
        ),
        {"tids": tids(one.tid for one in held), "channels": texts(channels), "rules": texts(rules)},
    )


def due_queues(connection: Connection) -> list[tuple[str, str]]:
    """The (account, channel) pairs with something due, each by its own clock; not the paused ones.

    Skips from pair to pair along the index, so it costs by the pair, not by the send.
    """
    rows = connection.execute(
        text(
            f"""
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
            -- The first of each pair, by the index. Asked whether there is any, the planner may
            -- guess that a third of all is, and read all that is pending until it comes upon one.
            WHERE (SELECT p.due_at FROM pending p
                   WHERE p.account = pair.account AND p.channel = pair.channel
                   ORDER BY p.due_at LIMIT 1) <= coalesce(a.test_now, statement_timestamp())
              AND {sends_run("pair")}
            """
        )
    )
    return [(row.account, row.channel) for row in rows]
