"""Enrolments and their one pending send: planned, and planned again."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from domain.planning import Anchor
from storage.columns import moments, numbers, texts
from storage.holds import REASONS


class Enrolment(NamedTuple):
    """What planning needs: the step that comes next, and what it is counted from."""

    enrolment: int
    customer: str
    slot: int
    schedule: str
    version: int
    step: int
    anchor_date: date | None
    anchor_at: datetime | None
    zone: str | None
    """The customer's own, or derived."""
    shift_seconds: int


class Plan(NamedTuple):
    """A send to plan, for an enrolment that is live and not held."""

    enrolment: int
    step: int
    channel: str
    planned_at: datetime
    due_at: datetime
    attempts: int = 0


def enrol(
    connection: Connection,
    account: str,
    slots: Sequence[int],
    *,
    schedule: str,
    version: int,
    reference: str,
    anchor: Anchor,
    values: dict[str, Any],
) -> list[Enrolment]:
    """Put slots on a schedule; returns those enrolled: not those on it already.

    Who is paused, or has a mark that the schedule heeds, is held from the beginning.
    """
    at = anchor if isinstance(anchor, datetime) else None
    rows = connection.execute(
        text(_ENROL),
        {
            "account": account,
            "slots": list(slots),
            "schedule": schedule,
            "version": version,
            "reference": reference,
            "anchor_at": at,
            "anchor_date": None if at else anchor,
            "values": json.dumps(values),
        },
    )
    return [Enrolment(*row) for row in rows]


_COLUMNS = """
    e.enrolment, e.customer, e.slot, e.schedule, e.version, e.step, e.anchor_date, e.anchor_at,
    coalesce(c.zone, c.derived_zone), e.shift_seconds
"""

_ENROL = f"""
    WITH e AS (
        INSERT INTO enrolments (account, customer, slot, schedule, version, reference,
                                anchor_date, anchor_at, "values", held)
        SELECT s.account, s.customer, s.slot, v.schedule, v.version, e.reference, :anchor_date,
               :anchor_at, CAST(:values AS jsonb), {REASONS}
        FROM slots s JOIN schedule_versions v USING (account),
             (SELECT CAST(:reference AS text)) AS e (reference)
        WHERE s.account = :account AND s.slot = ANY(CAST(:slots AS bigint[]))
          AND v.schedule = :schedule AND v.version = :version
        ON CONFLICT (account, slot, schedule, reference) WHERE slot IS NOT NULL DO NOTHING
        RETURNING *
    )
    SELECT {_COLUMNS} FROM e JOIN customers c USING (account, customer)
"""


def read_enrolments(
    connection: Connection, account: str, enrolments: Sequence[int]
) -> list[Enrolment]:
    """Live enrolments, by number."""
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM enrolments e JOIN customers c USING (account, customer) "
            "WHERE e.account = :account AND e.enrolment = ANY(CAST(:enrolments AS bigint[])) "
            "AND e.slot IS NOT NULL"
        ),
        {"account": account, "enrolments": list(enrolments)},
    )
    return [Enrolment(*row) for row in rows]


class Live(NamedTuple):
    """An enrolment that goes on, and whether its present step is pending."""

    enrolment: Enrolment
    pending: bool


def read_live(
    connection: Connection, account: str, slots: Sequence[int], schedule: str | None
) -> list[Live]:
    """What is live on these slots; with `schedule`, of that one only."""
    rows = connection.execute(
        text(
            f"""
            SELECT {_COLUMNS}, p.enrolment IS NOT NULL
            FROM unnest(CAST(:slots AS bigint[])) AS held (slot),
            LATERAL (SELECT * FROM enrolments e
                     WHERE e.account = :account AND e.slot = held.slot OFFSET 0) e
            JOIN customers c ON c.account = e.account AND c.customer = e.customer
            LEFT JOIN LATERAL (SELECT enrolment FROM pending p
                               WHERE p.account = e.account AND p.enrolment = e.enrolment OFFSET 0) p
                 ON true
            WHERE CAST(:schedule AS text) IS NULL OR e.schedule = :schedule
            """
        ),
        {"account": account, "slots": list(slots), "schedule": schedule},
    )
    return [Live(Enrolment(*row[:-1]), row[-1]) for row in rows]


def enrolments_not_retrying(
    connection: Connection, account: str, slots: Sequence[int]
) -> list[Enrolment]:
    """Enrolments whose pending send is as the schedule planned it, first attempt still to come."""
    rows = connection.execute(
        text(
            f"""
            SELECT {_COLUMNS} FROM pending p
            JOIN enrolments e USING (account, enrolment)
            JOIN customers c ON c.account = e.account AND c.customer = e.customer
            WHERE p.account = :account AND e.slot = ANY(CAST(:slots AS bigint[]))
              AND p.attempts = 0
            """
        ),
        {"account": account, "slots": list(slots)},
    )
    return [Enrolment(*row) for row in rows]


class OfReference(NamedTuple):
    """A live enrolment, and whether its present step is being sent."""

    enrolment: Enrolment
    in_progress: bool


def enrolments_of(
    connection: Connection,
    account: str,
    slots: Sequence[int],
    reference: str | None,
    *,
    ended_by: str | None = None,
) -> list[OfReference]:
    """What is live on these slots, of one reference or (None) of all, held or not.

    `ended_by` (a fact that the schedule ends on) narrows it down.
    """
    rows = connection.execute(
        text(
            f"""
            SELECT {_COLUMNS}, EXISTS (SELECT 1 FROM started r WHERE r.account = e.account
                                       AND r.enrolment = e.enrolment)
            FROM enrolments e JOIN schedule_versions v USING (account, schedule, version)
            JOIN customers c ON c.account = e.account AND c.customer = e.customer
            WHERE e.account = :account AND e.slot = ANY(CAST(:slots AS bigint[]))
              AND (CAST(:reference AS text) IS NULL OR e.reference = :reference)
              AND (CAST(:ended_by AS text) IS NULL OR v.definition->'ends' ? :ended_by)
            ORDER BY e.enrolment
            """
        ),
        {
            "account": account,
            "slots": list(slots),
            "reference": reference,
            "ended_by": ended_by,
        },
    )
    return [OfReference(Enrolment(*row[:-1]), row[-1]) for row in rows]


def reanchor(connection: Connection, account: str, moved: Sequence[Enrolment]) -> None:
    """Let enrolments count from the anchors that they have here.

    What was sent last counts as planned from the new one too: what follows keeps apart from it. Of
    what is started, it is noted for whoever settles it: its next step is planned by the old one.
    """
    connection.execute(
        text(
            """
            WITH moved AS (
                UPDATE enrolments e SET anchor_date = m.anchor_date, anchor_at = m.anchor_at,
                                        shift_seconds = m.shift_seconds,
                                        messaged_for = e.messaged_for + make_interval(secs =>
                    coalesce(CAST(86400 * (m.anchor_date - e.anchor_date) AS double precision),
                             extract(epoch FROM m.anchor_at - e.anchor_at))
                    + m.shift_seconds - e.shift_seconds)
                FROM ROWS FROM (unnest(CAST(:enrolments AS bigint[])),
                                unnest(CAST(:dates AS date[])),
                                unnest(CAST(:moments AS timestamptz[])),
                                unnest(CAST(:shifts AS int[])))
                     AS m (enrolment, anchor_date, anchor_at, shift_seconds)
                WHERE e.account = :account AND e.enrolment = m.enrolment AND e.slot IS NOT NULL
                RETURNING e.enrolment
            )
            UPDATE started r SET anchor_moved = true FROM moved
            WHERE r.account = :account AND r.enrolment = moved.enrolment
            """
        ),
        {
            "account": account,
            "enrolments": numbers(one.enrolment for one in moved),
            "dates": [one.anchor_date for one in moved],
            "moments": moments(one.anchor_at for one in moved),
            "shifts": numbers(one.shift_seconds for one in moved),
        },
    )


def plan(connection: Connection, account: str, plans: Sequence[Plan]) -> None:
    """Plan sends. An enrolment that has ended, is held, or is at another step gets none."""
    if plans:
        connection.execute(
            text(
                f"""
                INSERT INTO pending (account, enrolment, slot, customer, step, channel, planned_at,
                                     due_at, attempts)
                SELECT e.account, e.enrolment, e.slot, e.customer, e.step, p.channel, p.planned_at,
                       p.due_at, p.attempts
                FROM {_PLANS},
                LATERAL (SELECT * FROM enrolments e
                         WHERE e.account = :account AND e.enrolment = p.enrolment OFFSET 0) e
                WHERE e.slot IS NOT NULL AND e.held IS NULL AND e.step = p.step
                """
            ),
            _columns(account, plans),
        )


def replan(connection: Connection, account: str, plans: Sequence[Plan]) -> None:
    """Move pending sends to other moments; the slots are held FOR UPDATE."""
    if plans:
        connection.execute(
            text(
                f"""
                UPDATE pending
                SET planned_at = p.planned_at, due_at = p.due_at, deferred = NULL
                FROM {_PLANS}
                WHERE pending.account = :account AND pending.enrolment = p.enrolment
                """
            ),
            _columns(account, plans),
        )


def _columns(account: str, plans: Sequence[Plan]) -> dict[str, object]:
    enrolments, steps, channels, planned_ats, due_ats, attempts = zip(*plans, strict=True)
    return {
        "account": account,
        "enrolments": numbers(enrolments),
        "steps": numbers(steps),
        "channels": texts(channels),
        "planned_ats": moments(planned_ats),
        "due_ats": moments(due_ats),
        "attempts": numbers(attempts),
    }


_PLANS = """
    ROWS FROM (unnest(CAST(:enrolments AS bigint[])),
               unnest(CAST(:steps AS int[])),
               json_array_elements_text(CAST(:channels AS json)),
               unnest(CAST(:planned_ats AS timestamptz[])),
               unnest(CAST(:due_ats AS timestamptz[])),
               unnest(CAST(:attempts AS int[])))
    AS p (enrolment, step, channel, planned_at, due_at, attempts)
"""


class Advance(NamedTuple):
    """An enrolment whose step is over: the next one, or (channel None) the end of its schedule."""

    enrolment: int
    step: int
    channel: str | None
    planned_at: datetime | None


def advance(
    connection: Connection, account: str, advances: Sequence[Advance], now: datetime
) -> None:
    """Move cursors forward and plan the next sends, or end what is complete.

    The slots are locked since an earlier statement; an enrolment that has ended stays as it is, and
    one that is held moves on without a plan.
    """
    if not advances:
        return
    enrolments, steps, channels, planned_ats = zip(*advances, strict=True)
    connection.execute(
        _ADVANCE,
        {
            "account": account,
            "now": now,
            "enrolments": numbers(enrolments),
            "steps": numbers(steps),
            "channels": texts(channels),
            "planned_ats": moments(planned_ats),
        },
    )


_ADVANCE = text(
    """
    WITH over AS MATERIALIZED (
        SELECT over.*, found.tid
        FROM ROWS FROM (unnest(CAST(:enrolments AS bigint[])),
                        unnest(CAST(:steps AS int[])),
                        json_array_elements_text(CAST(:channels AS json)),
                        unnest(CAST(:planned_ats AS timestamptz[])))
             AS over (enrolment, step, channel, planned_at),
        LATERAL (SELECT ctid AS tid FROM enrolments e
                 WHERE e.account = :account AND e.enrolment = over.enrolment OFFSET 0) found
    ), advanced AS (
        UPDATE enrolments e SET
            step = over.step + 1,
            slot = CASE WHEN over.channel IS NOT NULL THEN e.slot END,
            held = CASE WHEN over.channel IS NOT NULL THEN e.held END,
            ended_at = CASE WHEN over.channel IS NULL THEN CAST(:now AS timestamptz) END,
            end_reason = CASE WHEN over.channel IS NULL THEN 'completed' END
        FROM over
        WHERE e.ctid = over.tid AND e.enrolment = over.enrolment AND e.step = over.step
          AND e.slot IS NOT NULL
        RETURNING e.account, e.enrolment, e.slot, e.customer, e.step, e.held, over.channel,
                  over.planned_at
    )
    INSERT INTO pending (account, enrolment, slot, customer, step, channel, planned_at, due_at)
    SELECT account, enrolment, slot, customer, step, channel, planned_at, planned_at
    FROM advanced WHERE slot IS NOT NULL AND held IS NULL
    """
)
