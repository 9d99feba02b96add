"""What holds an enrolment: the slot's pause, and those of its marks that the schedule heeds.

`enrolments.held` says it in short, so that whoever plans needs to look no further. It is written
in the transaction that changes a pause or a mark, by one statement that asks for all reasons anew:
so several at once need no counting, and an enrolment goes on when none is left. Callers hold the
slots FOR UPDATE since an earlier statement.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.columns import numbers

# All of them, unless it says (see Schedule).
HOLDS = """coalesce(v.definition->'holds', CAST('["disputed", "promised", "replied"]' AS jsonb))"""
"""What holds the runs of a schedule version `v`."""

REASONS = f"""
    nullif(concat_ws(', ',
        (SELECT string_agg(DISTINCT m.mark, ', ' ORDER BY m.mark) FROM marks m
         WHERE m.account = s.account AND m.slot = s.slot AND {HOLDS} ? m.mark
           AND (m.reference IS NULL OR m.reference = e.reference)),
        CASE WHEN s.paused_at IS NOT NULL THEN 'paused' END), '')
"""
"""Why an enrolment `e` on a slot `s` is held; null: it is not."""


class Changed(NamedTuple):
    """What holding and releasing came to."""

    taken: dict[str, int]
    """By customer, how many pending sends that took out."""
    released: list[int]
    """Enrolments to plan anew: not those with a send still started."""


def settle(connection: Connection, account: str, slots: Iterable[int]) -> Changed:
    """Hold and release what hangs from these slots, as their pauses and marks are now.

    What is pending of what is held is taken out, and each keeps its place; the release plans the
    same step anew, so nothing of this is in the ledger yet.
    """
    rows = connection.execute(_SETTLE, {"account": account, "slots": numbers(slots)}).all()
    return Changed(
        {row.customer: row.taken for row in rows if row.taken},
        [enrolment for row in rows for enrolment in row.released or ()],
    )


_SETTLE = text(
    f"""
    WITH judged AS MATERIALIZED (
        SELECT e.enrolment, e.customer, e.held AS was, {REASONS} AS reasons
        FROM unnest(CAST(:slots AS bigint[])) AS of (slot)
        JOIN slots s ON s.account = :account AND s.slot = of.slot,
        LATERAL (SELECT * FROM enrolments e
                 WHERE e.account = :account AND e.slot = s.slot OFFSET 0) e
        JOIN schedule_versions v USING (account, schedule, version)
    ), changed AS (
        UPDATE enrolments e SET held = j.reasons FROM judged j
        WHERE e.account = :account AND e.enrolment = j.enrolment
          AND j.reasons IS DISTINCT FROM j.was
        RETURNING e.enrolment, e.customer, j.reasons
    ), taken AS (
        DELETE FROM pending p USING changed c
        WHERE p.account = :account AND p.enrolment = c.enrolment AND c.reasons IS NOT NULL
        RETURNING p.enrolment
    )
    SELECT c.customer, count(t.enrolment) AS taken,
           array_agg(c.enrolment) FILTER (WHERE c.reasons IS NULL AND NOT EXISTS
               (SELECT 1 FROM started r
                WHERE r.account = :account AND r.enrolment = c.enrolment)) AS released
    FROM changed c LEFT JOIN taken t USING (enrolment) GROUP BY c.customer
    """
)


def open_sends(
    connection: Connection,
    account: str,
    slots: Iterable[int],
    reference: str | None,
    *,
    heeds: str,
) -> dict[str, tuple[int, ...]]:
    """By customer, what is started and not settled of the runs that heed a fact of a reference.

    `heeds` is what the schedule holds for, or ends on; `reference` None: all of them.
    """
    rows = connection.execute(
        text(
            f"""
            SELECT e.customer, array_agg(r.send ORDER BY r.send) AS open
            FROM unnest(CAST(:slots AS bigint[])) AS of (slot),
            LATERAL (SELECT * FROM enrolments e
                     WHERE e.account = :account AND e.slot = of.slot OFFSET 0) e
            JOIN schedule_versions v USING (account, schedule, version)
            JOIN started r ON r.account = :account AND r.enrolment = e.enrolment
            WHERE (CAST(:reference AS text) IS NULL OR e.reference = :reference)
              AND ({HOLDS} ? :heeds OR v.definition->'ends' ? :heeds)
            GROUP BY e.customer
            """
        ),
        {"account": account, "slots": numbers(slots), "reference": reference, "heeds": heeds},
    )
    return {row.customer: tuple(row.open) for row in rows}
