"""Taking out what a suppression forbids.

Callers hold the slots FOR UPDATE since an earlier statement, and nothing here skips a locked row:
see storage/silence.py.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from domain.message import Channel
from storage.columns import moments, numbers, texts


class Passed(NamedTuple):
    """A step that can't go any more; of the first of its enrolment's the send is pending."""

    enrolment: int
    step: int
    channel: str
    planned_at: datetime


class Moved(NamedTuple):
    """An enrolment that goes on with a later step."""

    enrolment: int
    step: int
    channel: str
    planned_at: datetime


def pass_over(
    connection: Connection,
    account: str,
    passed: Sequence[Passed],
    moved: Sequence[Moved],
    reason: str,
    now: datetime,
) -> dict[str, int]:
    """Cancel the passed steps and plan the ones moved to; returns how many of each customer's."""
    if not passed:
        return {}
    rows = connection.execute(
        text(_PASS_OVER),
        {
            "account": account,
            "reason": reason,
            "now": now,
            **_columns("passed", passed),
            **_columns("moved", moved),
        },
    )
    cancelled = {row.customer: row.cancelled for row in rows}
    # In a statement of its own: what is pending is gone, and its key is free.
    connection.execute(text(_PLAN), {"account": account, **_columns("moved", moved)})
    return cancelled


def _columns(name: str, steps: Sequence[Passed] | Sequence[Moved]) -> dict[str, str]:
    return {
        f"{name}_enrolments": numbers(one.enrolment for one in steps),
        f"{name}_steps": numbers(one.step for one in steps),
        f"{name}_channels": texts(one.channel for one in steps),
        f"{name}_at": moments(one.planned_at for one in steps),
    }


def _rows(name: str) -> str:
    return f"""
        ROWS FROM (unnest(CAST(:{name}_enrolments AS bigint[])),
                   unnest(CAST(:{name}_steps AS int[])),
                   json_array_elements_text(CAST(:{name}_channels AS json)),
                   unnest(CAST(:{name}_at AS timestamptz[])))
        AS {name} (enrolment, step, channel, planned_at)
    """


_PASS_OVER = f"""
    WITH over AS MATERIALIZED (
        SELECT passed.*, e.customer FROM {_rows("passed")},
        LATERAL (SELECT customer FROM enrolments e
                 WHERE e.account = :account AND e.enrolment = passed.enrolment OFFSET 0) e
    ), taken AS (
        DELETE FROM pending p USING (SELECT DISTINCT enrolment FROM over) o
        WHERE p.account = :account AND p.enrolment = o.enrolment
        RETURNING p.*
    ), ledger AS (
        INSERT INTO sends (account, enrolment, step, customer, channel, state, rule, planned_at,
                           business_at, attempts)
        SELECT :account, o.enrolment, o.step, o.customer, coalesce(t.channel, o.channel),
               'cancelled', :reason, coalesce(t.planned_at, o.planned_at), :now,
               coalesce(t.attempts, 0)
        FROM over o LEFT JOIN taken t ON t.enrolment = o.enrolment AND t.step = o.step
        RETURNING customer
    ), moved_on AS (
        UPDATE enrolments e SET step = moved.step FROM {_rows("moved")}
        WHERE e.account = :account AND e.enrolment = moved.enrolment
    )
    SELECT customer, count(*) AS cancelled FROM ledger GROUP BY customer
"""

_PLAN = f"""
    INSERT INTO pending (account, enrolment, slot, customer, step, channel, planned_at, due_at)
    SELECT e.account, e.enrolment, e.slot, e.customer, e.step, moved.channel, moved.planned_at,
           moved.planned_at
    FROM {_rows("moved")},
    LATERAL (SELECT * FROM enrolments e
             WHERE e.account = :account AND e.enrolment = moved.enrolment OFFSET 0) e
"""


def open_sends(
    connection: Connection,
    account: str,
    customers: Sequence[str],
    *,
    channels: Sequence[Channel],
    schedule: str | None,
    ended: Sequence[int],
) -> dict[str, tuple[int, ...]]:
    """What is started by these channels, or of what ends now, whichever slot it started under."""
    rows = connection.execute(
        text(
            """
            SELECT s.customer, array_agg(s.send ORDER BY s.send) AS sends
            FROM started s
            WHERE s.account = :account AND s.customer = ANY(CAST(:customers AS text[]))
              AND (s.enrolment = ANY(CAST(:ended AS bigint[]))
                   OR (s.channel = ANY(CAST(:channels AS text[]))
                       AND (CAST(:schedule AS text) IS NULL
                            OR (SELECT schedule FROM enrolments e
                                WHERE e.account = s.account AND e.enrolment = s.enrolment)
                               = :schedule)))
            GROUP BY s.customer
            """
        ),
        {
            "account": account,
            "customers": list(customers),
            "channels": list(channels),
            "schedule": schedule,
            "ended": list(ended),
        },
    )
    return {row.customer: tuple(row.sends) for row in rows}
