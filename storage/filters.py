"""Which customers a filter means: those who fit now, by one look-up for each."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from domain.customer_filter import Filter
from domain.journey import Place

MATCHING = """
    SELECT l.customer FROM looked l
    LEFT JOIN LATERAL (SELECT slot, status, activated_at FROM slots s
                       WHERE s.account = :account AND s.customer = l.customer OFFSET 0) s ON true
    WHERE l.place = ANY(CAST(:places AS text[])) AND l.redacted_at IS NULL
      AND (CAST(:status AS text) IS NULL OR s.status = :status)
      AND (CAST(:schedule AS text) IS NULL OR
           (SELECT count(*) FROM enrolments e WHERE e.account = :account AND e.slot = s.slot
                                                AND e.schedule = :schedule) > 0)
      AND (CAST(:idle_since AS timestamptz) IS NULL OR
           greatest(l.created_at, s.activated_at,
                    (SELECT max(f.business_at) FROM facts f
                     WHERE f.account = :account AND f.customer = l.customer)) <= :idle_since)
"""
"""Of the customers `looked` at; who is redacted is never meant.

Counts and maxima in place of EXISTS: those are never joined."""


def asked(filter_: Filter, places: Iterable[Place], now: datetime) -> dict[str, object]:
    """What MATCHING is asked with; `places`: where the filter's command changes something."""
    given = [filter_.place] if filter_.place is not None else places
    return {
        "places": [place.value for place in given],
        "status": filter_.status,
        "schedule": filter_.schedule,
        "idle_since": now - filter_.idle_for if filter_.idle_for is not None else None,
    }


def still_matching(
    connection: Connection, account: str, customers: Sequence[str], ask: dict[str, object]
) -> set[str]:
    """Those of these customers, whose locks are held since an earlier statement, who fit."""
    rows = connection.execute(
        text(
            "WITH looked AS MATERIALIZED (SELECT customer, place, created_at, "
            "redacted_at FROM customers "
            f"WHERE account = :account AND customer = ANY(CAST(:customers AS text[]))) {MATCHING}"
        ),
        {**ask, "account": account, "customers": list(customers)},
    )
    return {row.customer for row in rows}
