"""What a forecast begins from: live enrolments as they stand, some customers at a time."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text


class Live(NamedTuple):
    """A live enrolment, with its pending send, or the one in progress, or why it is held."""

    customer: str
    enrolment: int
    slot: int
    step: int
    held: str | None
    held_until: datetime | None
    """When it goes on by itself: the day of what is promised is over."""
    channel: str | None
    """Of what is pending or in progress; None: it is held."""
    planned_at: datetime | None
    due_at: datetime | None
    """Of what is pending."""
    attempts: int | None
    deferred: str | None
    fallback: str | None
    started_at: datetime | None
    """Of what is in progress, in business time."""
    anchor_moved: bool | None
    """Since that began: what follows counts from the new anchor alone."""


class Chunk(NamedTuple):
    """Some customers' live enrolments."""

    live: list[Live]
    last: str | None
    """The next chunk's customers come after this one; None: there are none."""


def read_live(
    connection: Connection,
    account: str,
    *,
    customer: str | None = None,
    schedule: str | None = None,
    after: str = "",
    limit: int = 1,
) -> Chunk:
    """All live enrolments of the next customers, who are on a schedule (or on this one)."""
    rows = connection.execute(
        text(_READ_LIVE),
        {
            "account": account,
            "customer": customer,
            "schedule": schedule,
            "after": after,
            "limit": limit,
        },
    ).all()
    live = [Live(*row) for row in rows]
    full = len({one.customer for one in live}) == limit
    return Chunk(live, live[-1].customer if full else None)


# All enrolments of a customer: what one sends counts against the caps of the others.
_READ_LIVE = """
    SELECT e.customer, e.enrolment, e.slot, e.step, e.held,
           CASE WHEN e.held = 'promised' THEN
               (SELECT max(m.until) FROM marks m
                WHERE m.account = e.account AND m.slot = e.slot
                  AND (m.reference IS NULL OR m.reference = e.reference)) END,
           coalesce(p.channel, r.channel),
           coalesce(p.planned_at, r.planned_at), p.due_at, p.attempts, p.deferred, p.fallback,
           r.business_at, r.anchor_moved
    FROM (SELECT s.slot FROM slots s
          WHERE s.account = :account AND s.customer > :after
            AND (CAST(:customer AS text) IS NULL OR s.customer = :customer)
            AND EXISTS (SELECT 1 FROM enrolments o WHERE o.account = s.account AND o.slot = s.slot
                        AND (CAST(:schedule AS text) IS NULL OR o.schedule = :schedule))
          ORDER BY s.customer LIMIT :limit) s
    JOIN enrolments e ON e.account = :account AND e.slot = s.slot
    LEFT JOIN pending p ON p.account = e.account AND p.enrolment = e.enrolment
    LEFT JOIN started r ON r.account = e.account AND r.enrolment = e.enrolment
    ORDER BY e.customer, e.enrolment
"""
