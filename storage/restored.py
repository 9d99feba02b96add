"""What a restored database may have forgotten: sends of live accounts that may have gone out."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.rescues import OPEN, Open


class Forgotten(NamedTuple):
    """What of an account may have gone out: started, and pending by the moment asked for."""

    account: str
    started: int
    pending: int


def count_forgotten(connection: Connection, until: datetime) -> list[Forgotten]:
    """By live account; nothing is changed."""
    rows = connection.execute(
        text(
            """
            SELECT account, started, pending FROM accounts a,
            LATERAL (SELECT count(*) AS started FROM started s WHERE s.account = a.account) s,
            LATERAL (SELECT count(*) AS pending FROM pending p
                     WHERE p.account = a.account AND p.planned_at <= :until) p
            WHERE a.test_now IS NULL AND started + pending > 0 ORDER BY account
            """
        ),
        {"until": until},
    )
    return [Forgotten(*row) for row in rows]


def lock_writers_out(connection: Connection) -> None:
    """Wait for what is being planned or started, and let nothing be until the commit.

    By the slots, which whoever plans, starts or settles locks before it writes: `pending` and
    `started` themselves are written in either order.
    """
    connection.execute(text("LOCK TABLE slots IN EXCLUSIVE MODE"))


def started_of_live(connection: Connection) -> list[Open]:
    """What is started in live accounts."""
    rows = connection.execute(
        text(
            f"SELECT {OPEN} FROM started "
            "JOIN accounts USING (account) WHERE test_now IS NULL ORDER BY account, send"
        )
    )
    return [Open(*row) for row in rows]


def pending_after(
    connection: Connection, account: str, enrolment: int, until: datetime, limit: int
) -> list[tuple[int, int]]:
    """(enrolment, slot) of what was planned by a moment, from an enrolment on; nothing is held."""
    rows = connection.execute(
        text(
            "SELECT enrolment, slot FROM pending WHERE account = :account "
            "AND enrolment > :enrolment AND planned_at <= :until ORDER BY enrolment LIMIT :limit"
        ),
        {"account": account, "enrolment": enrolment, "until": until, "limit": limit},
    )
    return [(row.enrolment, row.slot) for row in rows]


def lock_slots(connection: Connection, account: str, slots: Sequence[int]) -> None:
    """Hold these slots against everyone; by id."""
    connection.execute(
        text(
            "SELECT slot FROM slots WHERE account = :account "
            "AND slot = ANY(CAST(:slots AS bigint[])) ORDER BY slot FOR UPDATE"
        ),
        {"account": account, "slots": list(slots)},
    )


def overdue(
    connection: Connection, account: str, enrolments: Sequence[int], until: datetime
) -> list[int]:
    """Those of these enrolments that have something pending that was planned by a moment."""
    rows = connection.execute(
        text(
            "SELECT enrolment FROM pending WHERE account = :account "
            "AND enrolment = ANY(CAST(:enrolments AS bigint[])) AND planned_at <= :until"
        ),
        {"account": account, "enrolments": list(enrolments), "until": until},
    )
    return [row.enrolment for row in rows]


def write_off(
    connection: Connection,
    account: str,
    enrolments: Sequence[int],
    *,
    rule: str,
    detail: str,
    now: datetime,
) -> None:
    """Move what is pending to the ledger as unknown; the slots are held since before.

    Each gets a number, by which a person can resolve it, and a token that no worker has.
    """
    connection.execute(
        text(
            """
            WITH taken AS (
                DELETE FROM pending
                WHERE account = :account AND enrolment = ANY(CAST(:enrolments AS bigint[]))
                RETURNING *
            ), messaged AS (
                -- It may have been a message: what follows keeps apart from it.
                UPDATE enrolments e SET messaged_at = :now, messaged_for = taken.planned_at
                FROM taken WHERE e.account = taken.account AND e.enrolment = taken.enrolment
            )
            INSERT INTO sends (account, enrolment, step, customer, channel, state, rule, detail,
                               planned_at, business_at, send, token, slot, attempts)
            SELECT account, enrolment, step, customer, channel, 'unknown', :rule, :detail,
                   planned_at, :now, nextval(pg_get_serial_sequence('started', 'send')),
                   gen_random_uuid(), slot, attempts
            FROM taken
            """
        ),
        {
            "account": account,
            "enrolments": list(enrolments),
            "rule": rule,
            "detail": detail,
            "now": now,
        },
    )
