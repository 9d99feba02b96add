"""Taking out what is forbidden. Callers hold the slots FOR UPDATE since an earlier statement.

Nothing here skips a locked row: whatever is pending for these slots, planned by whomever, is seen
and taken, because whoever plans, starts or settles locks the slot first.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.holds import HOLDS
from storage.often import Often


class Ended(NamedTuple):
    """What ending enrolments came to for one customer. `open`: started and not settled."""

    ended: int = 0
    cancelled: int = 0
    open: tuple[int, ...] = ()


def open_sends(
    connection: Connection, account: str, customers: Sequence[str]
) -> dict[str, list[int]]:
    """What is started and not settled, by customer, whichever slot it started under."""
    rows = connection.execute(
        text(
            "SELECT customer, array_agg(send ORDER BY send) AS sends FROM started "
            "WHERE account = :account AND customer = ANY(CAST(:customers AS text[])) "
            "GROUP BY customer"
        ),
        {"account": account, "customers": list(customers)},
    )
    return {row.customer: row.sends for row in rows}


def end_enrolments(
    connection: Connection,
    account: str,
    slots: Sequence[int],
    *,
    reason: str,
    now: datetime,
    schedule: str | None = None,
    reference: str | None = None,
    ended_by: str | None = None,
    held_by: str | None = None,
) -> dict[str, Ended]:
    """End what is live on these slots; returns what that came to, by customer.

    The pending send of each goes to the ledger as cancelled; so does the step at which one is held.
    `schedule`, `reference` and `ended_by` or `held_by` (a fact that the schedule ends on, or is
    held by) narrow it down.
    """
    rows = connection.execute(
        text(_END),
        {
            "account": account,
            "slots": list(slots),
            "reason": reason,
            "now": now,
            "schedule": schedule,
            "reference": reference,
            "ended_by": ended_by,
            "held_by": held_by,
        },
    )
    return {row.customer: Ended(row.ended, row.cancelled, tuple(row.open or ())) for row in rows}


TAKEN_OUT = """
    taken AS (
        DELETE FROM pending p
        WHERE p.account = :account AND p.enrolment = ANY(ARRAY(SELECT enrolment FROM ending))
        RETURNING p.*
    ), unsent AS (
        SELECT enrolment, step, customer, channel, planned_at, attempts FROM taken
        UNION ALL
        SELECT enrolment, step, customer, step_channel, :now, 0 FROM ending e
        WHERE held IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM started s
             WHERE s.account = :account AND s.enrolment = e.enrolment OFFSET 0)
    ), ledger AS (
        INSERT INTO sends (account, enrolment, step, customer, channel, state, rule, planned_at,
                           business_at, attempts)
        SELECT :account, enrolment, step, customer, channel, 'cancelled', :reason, planned_at,
               :now, attempts FROM unsent
        RETURNING customer
    ), cancelled AS (
        SELECT customer, count(*) AS cancelled FROM ledger GROUP BY customer
    ), ended AS (
        UPDATE enrolments e SET slot = NULL, held = NULL, ended_at = :now, end_reason = :reason
        WHERE e.account = :account AND e.enrolment = ANY(ARRAY(SELECT enrolment FROM ending))
        RETURNING e.customer, e.enrolment
    )
"""
"""Of the enrolments `ending`: what is pending is cancelled, and they have ended."""

_END = f"""
    WITH ending AS (
        SELECT e.*, layby_step(v.definition, e.step)->>'channel' AS step_channel
        FROM enrolments e JOIN schedule_versions v USING (account, schedule, version)
        WHERE e.account = :account AND e.slot = ANY(CAST(:slots AS bigint[]))
          AND (CAST(:schedule AS text) IS NULL OR e.schedule = :schedule)
          AND (CAST(:reference AS text) IS NULL OR e.reference = :reference)
          AND (CAST(:ended_by AS text) IS NULL OR v.definition->'ends' ? :ended_by)
          AND (CAST(:held_by AS text) IS NULL OR {HOLDS} ? :held_by)
    ), {TAKEN_OUT}
    SELECT customer, count(*) AS ended, coalesce(max(cancelled), 0) AS cancelled,
           array_agg(s.send ORDER BY s.send) FILTER (WHERE s.send IS NOT NULL) AS open
    FROM ended LEFT JOIN cancelled USING (customer)
    LEFT JOIN LATERAL (SELECT send FROM started s WHERE s.account = :account
                           AND s.enrolment = ended.enrolment OFFSET 0) s ON true
    GROUP BY customer
"""


def end_these(
    connection: Connection, account: str, enrolments: Sequence[int], reason: str, now: datetime
) -> dict[str, int]:
    """End these enrolments; returns how many sends of each customer that cancelled."""
    if not enrolments:
        return {}
    rows = connection.execute(
        text(_END_THESE),
        {"account": account, "enrolments": list(enrolments), "reason": reason, "now": now},
    )
    return {row.customer: row.cancelled for row in rows}


_END_THESE = f"""
    WITH ending AS (
        SELECT e.*, layby_step(v.definition, e.step)->>'channel' AS step_channel
        FROM unnest(CAST(:enrolments AS bigint[])) AS named (enrolment),
        LATERAL (SELECT * FROM enrolments e
                 WHERE e.account = :account AND e.enrolment = named.enrolment OFFSET 0) e
        JOIN schedule_versions v USING (account, schedule, version)
    ), {TAKEN_OUT}
    SELECT customer, cancelled FROM cancelled
"""


class Moved(NamedTuple):
    """What a move came to for one customer. `open`: started and not settled, by whatever slot."""

    cancelled: int
    open: tuple[int, ...]


def archive(
    connection: Connection,
    account: str,
    leaving: Sequence[str],
    silenced: Sequence[str],
    *,
    order_at: datetime,
    now: datetime,
) -> dict[str, Moved]:
    """Archive active customers: the slot goes, and with it all that automation could use.

    `silenced` are those and others whom the same command leaves where they are: it is remembered
    of all of them that it came. Fails on the foreign key if anything live still hangs from a slot
    (G3).
    """
    rows = _ARCHIVE.rows(
        connection,
        {
            "account": account,
            "leaving": list(leaving),
            "silenced": list(silenced),
            "order_at": order_at,
            "reason": "moved",
            "now": now,
        },
    )
    return {customer: Moved(cancelled, tuple(open_ or ())) for customer, cancelled, open_ in rows}


_ARCHIVE = Often(
    f"""
    WITH freed AS (
        DELETE FROM slots WHERE account = :account
           AND customer = ANY(ARRAY(SELECT unnest(CAST(:leaving AS text[]))))
        RETURNING slot
    ), unmarked AS (
        DELETE FROM marks WHERE account = :account AND slot = ANY(ARRAY(SELECT slot FROM freed))
    ), ending AS (
        SELECT e.*, layby_step(v.definition, e.step)->>'channel' AS step_channel
        FROM freed, LATERAL (SELECT * FROM enrolments e
                             WHERE e.account = :account AND e.slot = freed.slot OFFSET 0) e
        JOIN schedule_versions v USING (account, schedule, version)
    ), {TAKEN_OUT}, placed AS (
        UPDATE customers
        SET silenced_at = greatest(silenced_at, :order_at),
            kept = kept OR customer = ANY(CAST(:leaving AS text[])),
            place = CASE WHEN customer = ANY(CAST(:leaving AS text[])) THEN 'archived'
                    ELSE place END
        WHERE account = :account
          AND customer = ANY(ARRAY(SELECT unnest(CAST(:silenced AS text[]))))
    )
    SELECT named.customer, coalesce(cancelled.cancelled, 0) AS cancelled, open
    FROM unnest(CAST(:silenced AS text[])) AS named (customer)
    LEFT JOIN cancelled USING (customer)
    LEFT JOIN LATERAL (SELECT array_agg(send ORDER BY send) AS open FROM started s
                       WHERE s.account = :account AND s.customer = named.customer OFFSET 0) s
         ON true
"""
)


def sweep_quiet(connection: Connection, account: str | None = None, limit: int = 1000) -> int:
    """Mark silences quiet whose started sends have all been settled; returns how many.

    What was started before a silence only ever becomes less, so this can look without locks.
    """
    return connection.execute(
        text(
            """
            WITH quiet AS (
                SELECT account, customer, seq FROM command_targets t
                WHERE open IS NOT NULL AND quiet_at IS NULL
                  AND (CAST(:account AS text) IS NULL OR account = :account)
                  -- Here, before the limit: what stays open must not keep the others from it.
                  AND NOT EXISTS (SELECT 1 FROM started s
                                  WHERE s.account = t.account AND s.customer = t.customer
                                    AND s.send = ANY(t.open))
                ORDER BY account, customer LIMIT :limit FOR UPDATE OF t SKIP LOCKED
            )
            UPDATE command_targets t
            SET quiet_at = clock_timestamp(),
                unknown = (SELECT count(*)
                           FROM enrolments e JOIN sends s USING (account, enrolment)
                           WHERE e.account = t.account AND e.customer = t.customer
                             AND s.send = ANY(t.open) AND s.state = 'unknown')
            FROM quiet q
            WHERE t.account = q.account AND t.customer = q.customer AND t.seq = q.seq
            """
        ),
        {"account": account, "limit": limit},
    ).rowcount
