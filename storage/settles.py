"""Settling what was started: to the ledger, back to pending, and on to the next step."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from storage.columns import numbers, texts, tids
from storage.often import Often

BACK = "pending"
"""Not a state of the ledger: a definite no, to be tried again; or never handed over."""


class Course(NamedTuple):
    """What a started send's end and its successor depend on; many of one start share one."""

    step: int
    attempts: int
    """With this one."""
    schedule: str
    version: int
    anchor_date: date | None
    anchor_at: datetime | None
    zone: str | None
    """The customer's own, or derived; it may have changed since."""
    shift_seconds: int
    planned_at: datetime
    business_at: datetime
    """When it was started."""
    channel: str


class Flight(NamedTuple):
    """A started send, as known to whoever settles it."""

    send: int
    token: UUID
    tid: str
    """Where its row is, unless a fact has marked it since."""
    enrolment: int
    slot: int
    course: Course


class End(NamedTuple):
    """What became of started sends, and what follows. `state` is of the ledger, or BACK."""

    state: str
    rule: str
    detail: str
    provider: str | None
    next_channel: str | None
    """Of the next step; None: the schedule is complete. BACK: of its fallback, if it goes by that
    now, for `rule`; None: by its own as before."""
    next_at: datetime | None
    """When the next step, or (BACK) the next attempt, is due."""
    attempts: int
    """BACK: how many count."""
    zone: str | None
    """The customer's own or derived, by which the next step was planned."""
    shift_seconds: int
    """By how much late steps, with this one, have moved what follows."""


class Settled(NamedTuple):
    """One started send, and how it ended."""

    send: int
    token: UUID
    tid: str
    end: End
    provider_id: str | None = None


class Over(NamedTuple):
    """What settling came to: how many were still started; whose next step counts otherwise now."""

    taken: int
    moved: list[int]
    """Enrolments whose customer's zone or whose anchor changed meanwhile: to be planned anew."""


def lock_slots(connection: Connection, account: str, slots: Sequence[int]) -> None:
    """Hold these slots against silence, not against other starts and settles; by id."""
    _LOCK_SLOTS.rows(connection, {"account": account, "slots": numbers(slots)})


_LOCK_SLOTS = Often(
    "SELECT slot FROM slots WHERE account = :account "
    "AND slot = ANY(CAST(:slots AS bigint[])) ORDER BY slot FOR KEY SHARE"
)


def settle(connection: Connection, account: str, settled: Sequence[Settled], now: datetime) -> Over:
    """Take sends out of started, write the ledger, and plan what follows; all in one statement.

    The slots are locked since an earlier one. What another took first is left out; what goes back
    for another attempt is cancelled if its enrolment has ended; an enrolment that is held moves on
    without a plan.
    """
    over = _settle(connection, account, settled, now)
    if over.taken == len(settled):
        return over
    again = _settle(connection, account, _found_again(connection, account, settled), now)
    return Over(over.taken + again.taken, over.moved + again.moved)


def _settle(
    connection: Connection, account: str, settled: Sequence[Settled], now: datetime
) -> Over:
    [row] = _SETTLE.rows(connection, {"account": account, "now": now, **_columns(settled)})
    return Over(*row)


def _found_again(connection: Connection, account: str, settled: Sequence[Settled]) -> list[Settled]:
    """Those whose rows are elsewhere: a fact has marked them since. The others are taken."""
    rows = connection.execute(
        text(
            "SELECT send, token, CAST(ctid AS text) FROM started "
            "WHERE account = :account AND send = ANY(CAST(:sends AS bigint[]))"
        ),
        {"account": account, "sends": numbers(one.send for one in settled)},
    )
    tids = {(send, token): tid for send, token, tid in rows}
    found = [(one, tids.get((one.send, one.token))) for one in settled]
    return [one._replace(tid=tid) for one, tid in found if tid is not None]


def _columns(settled: Sequence[Settled]) -> dict[str, str]:
    """What each has of its own; and the ends, each once."""
    # By id, though the plan may take the rows in another order: who else settles the same ones is a
    # rescue, which waits for nothing, or this very worker's second try.
    by_id = sorted(settled, key=lambda one: one.send)
    ends: dict[tuple[str, End], int] = {}
    numbered = [ends.setdefault((one.token.hex, one.end), len(ends)) for one in by_id]
    return {
        "tids": tids(one.tid for one in by_id),
        "sends": numbers(one.send for one in by_id),
        "numbers": numbers(numbered),
        "provider_ids": texts(one.provider_id for one in by_id),
        "ends": json.dumps(
            [{"number": n, "token": token, **_said(end)} for (token, end), n in ends.items()]
        ),
    }


def _said(end: End) -> dict[str, object]:
    at = end.next_at.isoformat() if end.next_at is not None else None
    return {**end._asdict(), "next_at": at}


_DONE = """
    (SELECT d.tid, d.send, d.provider_id, ends.*
     FROM ROWS FROM (unnest(CAST(:tids AS tid[])),
                     unnest(CAST(:sends AS bigint[])),
                     unnest(CAST(:numbers AS int[])),
                     json_array_elements_text(CAST(:provider_ids AS json)))
          AS d (tid, send, number, provider_id)
     JOIN json_to_recordset(CAST(:ends AS json))
          AS ends (number int, token uuid, state text, rule text, detail text, provider text,
                   next_channel text, next_at timestamptz, attempts int, zone text,
                   shift_seconds int)
     USING (number)) done
"""

# Each LATERAL … OFFSET 0 is one look-up by key: see storage/__init__.py. Where a started row was,
# another's may be by now, so it is told by its number and token too. What moves all that follows is
# planned for when it went (messaged_for). No remark in the statement: tests put it on one line.
_SETTLE = Often(
    f"""
    WITH taken AS (
        DELETE FROM started s USING {_DONE}
        WHERE s.ctid = ANY(CAST(:tids AS tid[])) AND s.ctid = done.tid
          AND s.account = :account AND s.send = done.send AND s.token = done.token
        RETURNING s.*, done.state, done.rule, done.detail, done.provider, done.provider_id,
                  done.next_channel, done.next_at, done.attempts AS count, done.zone,
                  done.shift_seconds AS shift
    ), over AS MATERIALIZED (
        SELECT t.*, e.tid, e.live, e.held, e.end_reason,
               (c.zone IS DISTINCT FROM t.zone AND t.state <> 'pending')
               OR t.anchor_moved IS TRUE AS moved
        FROM taken t,
        LATERAL (SELECT ctid AS tid, slot IS NOT NULL AS live, held, end_reason
                 FROM enrolments e
                 WHERE e.account = :account AND e.enrolment = t.enrolment OFFSET 0) e,
        LATERAL (SELECT coalesce(zone, derived_zone) AS zone FROM customers c
                 WHERE c.account = :account AND c.customer = t.customer OFFSET 0) c
    ), ledger AS (
        INSERT INTO sends (account, enrolment, step, customer, channel, state, rule, detail,
                           decision, planned_at, business_at, send, token, slot, started_at,
                           attempts, template, template_version, recipient_hash, provider,
                           provider_id)
        SELECT account, enrolment, step, customer, channel,
               CASE WHEN state = 'pending' THEN 'cancelled' ELSE state END,
               CASE WHEN state = 'pending' THEN end_reason ELSE rule END,
               detail, decision, planned_at, :now, send, token, slot, started_at, attempts,
               template, template_version, recipient_hash, provider, provider_id
        FROM over WHERE state <> 'pending' OR NOT live
    ), advanced AS (
        UPDATE enrolments e SET
            step = over.step + 1,
            shift_seconds = CASE WHEN over.anchor_moved THEN e.shift_seconds ELSE over.shift END,
            slot = CASE WHEN next_channel IS NOT NULL THEN e.slot END,
            held = CASE WHEN next_channel IS NOT NULL THEN e.held END,
            ended_at = CASE WHEN next_channel IS NULL THEN CAST(:now AS timestamptz) END,
            end_reason = CASE WHEN next_channel IS NULL THEN 'completed' END,
            messaged_at = CASE WHEN state IN ('sent', 'unknown') THEN business_at
                               ELSE e.messaged_at END,
            messaged_for = CASE WHEN state NOT IN ('sent', 'unknown') THEN e.messaged_for
                                WHEN over.anchor_moved THEN planned_at
                                ELSE planned_at + make_interval(
                                    secs => over.shift - e.shift_seconds) END
        FROM over
        WHERE e.ctid = over.tid AND over.state <> 'pending' AND over.live AND e.step = over.step
        RETURNING e.enrolment, e.slot, e.customer, e.step, e.held, next_channel, next_at, moved
    ), planned AS (
        INSERT INTO pending (account, enrolment, slot, customer, step, channel, planned_at, due_at,
                             attempts, fallback)
        SELECT :account, enrolment, slot, customer, step, next_channel, next_at, next_at, 0, NULL
        FROM advanced WHERE slot IS NOT NULL AND held IS NULL
        UNION ALL
        SELECT account, enrolment, slot, customer, step, coalesce(next_channel, channel),
               planned_at, next_at, count,
               CASE WHEN next_channel IS NULL THEN decision->>'fallback' ELSE rule END
        FROM over WHERE state = 'pending' AND live AND held IS NULL
    )
    SELECT (SELECT count(*) FROM over) AS taken,
           ARRAY(SELECT enrolment FROM advanced WHERE moved AND slot IS NOT NULL
                 UNION ALL
                 SELECT enrolment FROM over WHERE state = 'pending' AND moved AND live) AS moved
    """
)


def resolve_late(connection: Connection, account: str, settled: Sequence[Settled]) -> int:
    """Give unknown sends the word that came after all; by token, so only of this very attempt.

    Their sequence has gone on, so a definite no for now is a no for good. Held by number first, as
    by the redaction of several customers: there may be no slot left that both lock.
    """
    values = {"account": account, **_columns(settled)}
    connection.execute(_HOLD_UNKNOWN, values)
    return connection.execute(_RESOLVE, values).rowcount


_WORD_OF = """
    s.account = :account AND s.send = done.send AND s.token = done.token
    AND s.state = 'unknown' AND done.state <> 'unknown'
"""

_HOLD_UNKNOWN = text(
    f"SELECT 1 FROM sends s, {_DONE} WHERE {_WORD_OF} ORDER BY s.send FOR NO KEY UPDATE OF s"
)

_RESOLVE = text(
    f"""
    UPDATE sends s
    SET state = CASE done.state WHEN 'pending' THEN 'failed' ELSE done.state END,
        rule = done.rule, detail = done.detail,
        provider = done.provider, provider_id = done.provider_id
    FROM {_DONE} WHERE {_WORD_OF}
    """
)


def started_with(connection: Connection, account: str, token: UUID) -> list[Flight]:
    """What one start took and nobody has settled."""
    return flights(connection, account, "s.token = :token", token=token)


def flights(connection: Connection, account: str, condition: str, **values: object) -> list[Flight]:
    """Started sends `s` of a condition, as they are told to whoever settles them."""
    rows = connection.execute(
        text(
            f"""
            SELECT s.send, s.token, CAST(s.ctid AS text) AS tid, s.enrolment, s.slot,
                   s.step, s.attempts, e.schedule, e.version, e.anchor_date, e.anchor_at,
                   coalesce(c.zone, c.derived_zone), e.shift_seconds, s.planned_at, s.business_at,
                   s.channel
            FROM started s JOIN enrolments e USING (account, enrolment)
            JOIN customers c ON c.account = s.account AND c.customer = s.customer
            WHERE s.account = :account AND {condition}
            """
        ),
        {"account": account, **values},
    )
    return [
        Flight(row.send, row.token, row.tid, row.enrolment, row.slot, Course(*row[5:]))
        for row in rows
    ]
