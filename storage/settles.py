"""Settling what was started: to the ledger, back to pending, and on to the next step."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from storage.columns import numbers, texts

BACK = "pending"
"""Not a state of the ledger: a definite no, to be tried again; or never handed over."""


class Settled(NamedTuple):
    """What became of one started send. `state` is of the ledger, or BACK."""

    send: int
    token: UUID
    state: str
    rule: str
    detail: str
    provider: str | None = None
    provider_id: str | None = None


class Over(NamedTuple):
    """A send that is no longer started, and its enrolment as committed now."""

    send: int
    enrolment: int
    step: int
    slot: int
    customer: str
    channel: str
    planned_at: datetime
    attempts: int
    state: str
    live: bool
    """The enrolment lives on, under the slot that the send started under."""
    schedule: str
    version: int
    anchor_date: date | None
    anchor_at: datetime | None
    zone: str | None


def lock_slots(connection: Connection, account: str, slots: Sequence[int]) -> None:
    """Hold these slots against silence, not against other starts and settles; by id."""
    connection.execute(_LOCK_SLOTS, {"account": account, "slots": numbers(slots)})


_LOCK_SLOTS = text(
    "SELECT slot FROM slots WHERE account = :account "
    "AND slot = ANY(CAST(:slots AS bigint[])) ORDER BY slot FOR KEY SHARE"
)


def settle(
    connection: Connection, account: str, settled: Sequence[Settled], now: datetime
) -> list[Over]:
    """Take sends out of started and write the ledger; what another took first is left out.

    What goes back to pending is only taken out here; if its enrolment has ended, it is cancelled.
    """
    rows = connection.execute(_SETTLE, {"account": account, "now": now, **_columns(settled)})
    return [Over._make(row) for row in rows.all()]


def _columns(settled: Sequence[Settled]) -> dict[str, str]:
    # By id: a rescue, a late worker and a second try may hold the same rows at the same time.
    sends, tokens, *said = zip(*sorted(settled, key=lambda one: one.send), strict=True)
    named = zip(_SAID, said, strict=True)
    return {
        "sends": numbers(sends),
        "tokens": texts(map(str, tokens)),
        **{f"{name}s": texts(column) for name, column in named},
    }


_SAID = Settled._fields[2:]

_DONE = """
    ROWS FROM (unnest(CAST(:sends AS bigint[])),
               json_array_elements_text(CAST(:tokens AS json)),
               json_array_elements_text(CAST(:states AS json)),
               json_array_elements_text(CAST(:rules AS json)),
               json_array_elements_text(CAST(:details AS json)),
               json_array_elements_text(CAST(:providers AS json)),
               json_array_elements_text(CAST(:provider_ids AS json)))
    AS done (send, token, state, rule, detail, provider, provider_id)
"""


# Each LATERAL … OFFSET 0 is one look-up by key: see storage/__init__.py.
_SETTLE = text(
    f"""
    WITH done AS MATERIALIZED (
        SELECT done.*, found.tid
        FROM {_DONE},
        LATERAL (SELECT ctid AS tid FROM started s
                 WHERE s.account = :account AND s.send = done.send
                   AND s.token = CAST(done.token AS uuid)
                 OFFSET 0) found
    ), taken AS (
        DELETE FROM started s USING done
        WHERE s.ctid = done.tid AND s.token = CAST(done.token AS uuid)
        RETURNING s.*, done.state, done.rule, done.detail, done.provider, done.provider_id
    ), over AS (
        SELECT t.*, e.*, c.zone FROM taken t,
        LATERAL (SELECT slot IS NOT NULL AS live, end_reason, schedule, version, anchor_date,
                        anchor_at
                 FROM enrolments e
                 WHERE e.account = :account AND e.enrolment = t.enrolment OFFSET 0) e,
        LATERAL (SELECT zone FROM customers c
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
    )
    SELECT send, enrolment, step, slot, customer, channel, planned_at, attempts, state, live,
           schedule, version, anchor_date, anchor_at, zone
    FROM over
    """
)


def resolve_late(connection: Connection, account: str, settled: Sequence[Settled]) -> int:
    """Give unknown sends the word that came after all; by token, so only of this very attempt.

    Their sequence has gone on, so a definite no for now is a no for good.
    """
    return connection.execute(
        text(
            f"""
            UPDATE sends s
            SET state = CASE done.state WHEN 'pending' THEN 'failed' ELSE done.state END,
                rule = done.rule, detail = done.detail,
                   provider = done.provider, provider_id = done.provider_id
            FROM {_DONE}
            WHERE s.account = :account AND s.send = done.send
              AND s.token = CAST(done.token AS uuid)
              AND s.state = 'unknown' AND done.state <> 'unknown'
            """
        ),
        {"account": account, **_columns(settled)},
    ).rowcount


class Open(NamedTuple):
    """A started send, as the rescue watches it."""

    account: str
    send: int
    token: UUID
    slot: int
    attempts: int
    lease_seconds: int


_OPEN = "SELECT account, send, token, slot, attempts, lease_seconds FROM started "


def open_starts(connection: Connection) -> list[Open]:
    """All that is started now."""
    return [Open(*row) for row in connection.execute(text(_OPEN))]


def started_with(connection: Connection, account: str, token: UUID) -> list[Open]:
    """What one start took and nobody has settled."""
    rows = connection.execute(
        text(_OPEN + "WHERE account = :account AND token = :token"),
        {"account": account, "token": token},
    )
    return [Open(*row) for row in rows]
