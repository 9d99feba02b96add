"""Marks on slots. Callers hold the slots since an earlier statement."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection, text

from domain.marks import Mark
from storage.columns import moments, numbers, texts


def put(
    connection: Connection,
    account: str,
    slots: Mapping[int, datetime | None],
    mark: Mark,
    reference: str | None,
    *,
    amount: Decimal | None = None,
    currency: str | None = None,
    seq: int | None = None,
) -> None:
    """Mark slots, each until its moment; a mark of the same kind and reference is replaced."""
    connection.execute(
        text(
            """
            INSERT INTO marks (account, slot, mark, reference, until, amount, currency, seq)
            SELECT :account, slot, :mark, :reference, until, :amount, :currency, :seq
            FROM ROWS FROM (unnest(CAST(:slots AS bigint[])),
                            unnest(CAST(:untils AS timestamptz[]))) AS marked (slot, until)
            ON CONFLICT (account, slot, mark, reference) DO UPDATE
            SET until = EXCLUDED.until, amount = EXCLUDED.amount, currency = EXCLUDED.currency,
                seq = EXCLUDED.seq
            """
        ),
        {
            "account": account,
            "slots": numbers(slots),
            "untils": moments(slots.values()),
            "mark": mark.value,
            "reference": reference,
            "amount": amount,
            "currency": currency,
            "seq": seq,
        },
    )


def put_late(connection: Connection, account: str, runs: Sequence[tuple[int, str]]) -> list[int]:
    """Mark (slot, reference) pairs late; returns the slots of those that were not yet."""
    slots, references = zip(*runs, strict=True)
    rows = connection.execute(
        text(
            """
            INSERT INTO marks (account, slot, mark, reference)
            SELECT DISTINCT :account, slot, 'late', reference
            FROM ROWS FROM (unnest(CAST(:slots AS bigint[])),
                            json_array_elements_text(CAST(:references AS json)))
                 AS late (slot, reference)
            ON CONFLICT DO NOTHING RETURNING slot
            """
        ),
        {"account": account, "slots": numbers(slots), "references": texts(references)},
    )
    return [row.slot for row in rows]


def remove_late(connection: Connection, account: str, runs: Sequence[tuple[int, str]]) -> list[int]:
    """(slot, reference) pairs are late no more; returns the slots of those that were."""
    slots, references = zip(*runs, strict=True)
    rows = connection.execute(
        text(
            """
            DELETE FROM marks m
            USING ROWS FROM (unnest(CAST(:slots AS bigint[])),
                             json_array_elements_text(CAST(:references AS json)))
                  AS paid (slot, reference)
            WHERE m.account = :account AND m.slot = paid.slot AND m.mark = 'late'
              AND m.reference = paid.reference
            RETURNING m.slot
            """
        ),
        {"account": account, "slots": numbers(slots), "references": texts(references)},
    )
    return [row.slot for row in rows]


def remove(
    connection: Connection,
    account: str,
    slots: Iterable[int],
    marks: Iterable[Mark],
    reference: str | None,
) -> None:
    """Take marks of one reference off slots; None: of whatever reference, or of none."""
    connection.execute(
        text(
            "DELETE FROM marks WHERE account = :account "
            "AND slot = ANY(CAST(:slots AS bigint[])) AND mark = ANY(CAST(:marks AS text[])) "
            "AND (CAST(:reference AS text) IS NULL OR reference = :reference)"
        ),
        {
            "account": account,
            "slots": numbers(slots),
            "marks": [mark.value for mark in marks],
            "reference": reference,
        },
    )


def pay_promises(
    connection: Connection,
    account: str,
    slots: Iterable[int],
    reference: str | None,
    amount: Decimal | None,
    currency: str | None,
) -> None:
    """Take off the promises that a payment keeps, and take it off what others still promise.

    One for all that is owed is only kept by what is paid of its amount, or by a payment for all.
    """
    connection.execute(
        text(
            """
            WITH covered AS (
                SELECT number, coalesce(amount - CAST(:amount AS numeric), 0) AS left
                FROM marks
                WHERE account = :account AND slot = ANY(CAST(:slots AS bigint[]))
                  AND mark = 'promised'
                  AND (CAST(:reference AS text) IS NULL OR reference = :reference
                       OR (reference IS NULL AND amount IS NOT NULL
                           AND CAST(:amount AS numeric) IS NOT NULL))
                  AND (currency IS NULL OR CAST(:currency AS text) IS NULL
                       OR currency = :currency)
            ), kept AS (
                DELETE FROM marks m USING covered c
                WHERE m.account = :account AND m.number = c.number AND c.left <= 0
            )
            UPDATE marks m SET amount = c.left FROM covered c
            WHERE m.account = :account AND m.number = c.number AND c.left > 0
            """
        ),
        {
            "account": account,
            "slots": numbers(slots),
            "reference": reference,
            "amount": amount,
            "currency": currency,
        },
    )


def read(
    connection: Connection, account: str, slots: Iterable[int]
) -> list[tuple[int, frozenset[Mark]]]:
    """What stands on each of these slots."""
    rows = connection.execute(
        text(
            "SELECT wanted.slot, array_agg(m.mark) FILTER (WHERE m.mark IS NOT NULL) AS marks "
            "FROM unnest(CAST(:slots AS bigint[])) AS wanted (slot) "
            "LEFT JOIN marks m ON m.account = :account AND m.slot = wanted.slot "
            "GROUP BY wanted.slot ORDER BY wanted.slot"
        ),
        {"account": account, "slots": numbers(slots)},
    )
    return [(row.slot, frozenset(Mark(mark) for mark in row.marks or ())) for row in rows]


class Broken(NamedTuple):
    """A promise whose day is over."""

    customer: str
    reference: str | None


def accounts_due(connection: Connection) -> list[str]:
    """Accounts with a broken promise, each by its own clock; a step of the index for each."""
    rows = connection.execute(
        text(
            """
            WITH RECURSIVE promising AS (
                (SELECT account FROM marks WHERE until IS NOT NULL ORDER BY account LIMIT 1)
                UNION ALL
                SELECT later.account FROM promising, LATERAL (
                    SELECT m.account FROM marks m
                    WHERE m.until IS NOT NULL AND m.account > promising.account
                    ORDER BY m.account LIMIT 1
                ) later
            )
            SELECT account FROM promising JOIN accounts a USING (account)
            -- The first of each account, as in starts.due_queues.
            WHERE (SELECT m.until FROM marks m JOIN slots s USING (account, slot)
                   WHERE m.account = promising.account AND m.until IS NOT NULL
                   ORDER BY m.until LIMIT 1) <= coalesce(a.test_now, statement_timestamp())
            """
        )
    )
    return [row.account for row in rows]


def customers_due(connection: Connection, account: str, limit: int) -> list[str]:
    """Customers of an account with a broken promise, the longest ago first."""
    rows = connection.execute(
        text(
            """
            SELECT DISTINCT customer FROM (
                SELECT s.customer FROM accounts a JOIN marks m USING (account)
                JOIN slots s ON s.account = m.account AND s.slot = m.slot
                WHERE a.account = :account
                  AND m.until <= coalesce(a.test_now, statement_timestamp())
                ORDER BY m.until LIMIT :limit) AS due
            """
        ),
        {"account": account, "limit": limit},
    )
    return [row.customer for row in rows]


def break_promises(
    connection: Connection, account: str, slots: Iterable[int], now: datetime
) -> list[Broken]:
    """Turn the promises on these slots whose day is over into lateness; returns them.

    One for all that is owed leaves each reference late that is live, so that each can be paid.
    """
    rows = connection.execute(
        text(
            """
            WITH broken AS (
                DELETE FROM marks
                WHERE account = :account AND slot = ANY(CAST(:slots AS bigint[]))
                  AND mark = 'promised' AND until <= :now
                RETURNING slot, reference
            ), late AS (
                INSERT INTO marks (account, slot, mark, reference)
                SELECT DISTINCT :account, b.slot, 'late', coalesce(b.reference, e.reference)
                FROM broken b LEFT JOIN enrolments e
                    ON e.account = :account AND e.slot = b.slot AND b.reference IS NULL
                ON CONFLICT DO NOTHING
            )
            SELECT s.customer, b.reference
            FROM broken b JOIN slots s ON s.account = :account AND s.slot = b.slot
            ORDER BY s.customer, b.reference
            """
        ),
        {"account": account, "slots": numbers(slots), "now": now},
    )
    return [Broken(*row) for row in rows]
