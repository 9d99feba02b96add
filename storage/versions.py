"""Runs of older versions of a schedule: read, ended, and begun again on a newer version."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.columns import numbers, texts
from storage.silence import TAKEN_OUT

MOVED = "moved_to_version"
"""Why the older run ended, and the rule of what the newer one leaves behind it."""


class OldRun(NamedTuple):
    """A live enrolment on an older version."""

    enrolment: int
    customer: str
    slot: int
    version: int
    step: int
    anchor_date: date | None
    anchor_at: datetime | None
    zone: str | None
    """The customer's own, or derived."""
    shift_seconds: int
    held: str | None
    in_progress: bool
    """A send of it is started and not settled."""


def older_runs(
    connection: Connection,
    account: str,
    schedule: str,
    *,
    newest: int,
    from_version: int | None,
    slots: Sequence[int] | None = None,
) -> list[OldRun]:
    """The live runs on older versions, of these slots (held since an earlier statement) or all."""
    rows = connection.execute(
        text(
            """
            SELECT e.enrolment, e.customer, e.slot, e.version, e.step, e.anchor_date, e.anchor_at,
                   coalesce(c.zone, c.derived_zone), e.shift_seconds, e.held,
                   EXISTS (SELECT 1 FROM started s
                           WHERE s.account = e.account AND s.enrolment = e.enrolment)
            FROM enrolments e JOIN customers c USING (account, customer)
            WHERE e.account = :account AND e.schedule = :schedule AND e.slot IS NOT NULL
              AND e.version < :newest
              AND (CAST(:from_version AS int) IS NULL OR e.version = :from_version)
              AND (CAST(:slots AS bigint[]) IS NULL
                   OR e.slot = ANY(CAST(:slots AS bigint[])))
            ORDER BY e.enrolment
            """
        ),
        {
            "account": account,
            "schedule": schedule,
            "newest": newest,
            "from_version": from_version,
            "slots": None if slots is None else list(slots),
        },
    )
    return [OldRun(*row) for row in rows]


def end_runs(
    connection: Connection, account: str, enrolments: Sequence[int], now: datetime
) -> None:
    """End older runs: what is pending, or held, goes to the ledger as cancelled."""
    connection.execute(
        text(
            f"""
            WITH ending AS (
                SELECT e.*, layby_step(v.definition, e.step)->>'channel' AS step_channel
                FROM enrolments e JOIN schedule_versions v USING (account, schedule, version)
                WHERE e.account = :account AND e.enrolment = ANY(CAST(:enrolments AS bigint[]))
                  AND e.slot IS NOT NULL
            ), {TAKEN_OUT}
            SELECT count(*) FROM ended
            """
        ),
        {"account": account, "enrolments": list(enrolments), "reason": MOVED, "now": now},
    )


class Begun(NamedTuple):
    """An older run that goes on at a step of the newest version."""

    run: OldRun
    step: int


def begin_runs(
    connection: Connection, account: str, version: int, begun: Sequence[Begun]
) -> dict[int, int]:
    """Enrol older runs, which have ended, in a version: {older enrolment: newer enrolment}.

    Each under its slot, held as it was, with its reference, anchor, values and last message.
    """
    rows = connection.execute(
        text(
            """
            WITH begun AS (
                SELECT e.customer, b.slot, e.schedule, e.reference, e.anchor_date, e.anchor_at,
                       e."values", b.step, b.held, e.shift_seconds, e.messaged_at,
                       e.messaged_for, e.enrolment AS older
                FROM ROWS FROM (unnest(CAST(:enrolments AS bigint[])),
                                unnest(CAST(:slots AS bigint[])),
                                unnest(CAST(:steps AS int[])),
                                json_array_elements_text(CAST(:helds AS json)))
                     AS b (enrolment, slot, step, held)
                JOIN enrolments e ON e.account = :account AND e.enrolment = b.enrolment
            ), enrolled AS (
                INSERT INTO enrolments (account, customer, slot, schedule, version, reference,
                                        anchor_date, anchor_at, "values", step, held,
                                        shift_seconds, messaged_at, messaged_for)
                SELECT :account, customer, slot, schedule, :version, reference, anchor_date,
                       anchor_at, "values", step, held, shift_seconds, messaged_at, messaged_for
                FROM begun ORDER BY older
                RETURNING enrolment, slot, reference
            )
            SELECT older, enrolment FROM enrolled JOIN begun USING (slot, reference)
            """
        ),
        {
            "account": account,
            "version": version,
            "enrolments": numbers(one.run.enrolment for one in begun),
            "slots": numbers(one.run.slot for one in begun),
            "steps": numbers(one.step for one in begun),
            "helds": texts(one.run.held for one in begun),
        },
    )
    return {row.older: row.enrolment for row in rows}


class Behind(NamedTuple):
    """A step of a newer run that lies behind it, and why it does not come."""

    enrolment: int
    customer: str
    step: int
    channel: str
    detail: str


def account_for(
    connection: Connection, account: str, behind: Sequence[Behind], now: datetime
) -> None:
    """Write to the ledger what newer runs have behind them: nothing is left out silently."""
    if not behind:
        return
    enrolments, customers, steps, channels, details = zip(*behind, strict=True)
    connection.execute(
        text(
            """
            INSERT INTO sends (account, enrolment, step, customer, channel, state, rule, detail,
                               planned_at, business_at)
            SELECT :account, enrolment, step, customer, channel, 'skipped', :rule, detail, :now,
                   :now
            FROM ROWS FROM (unnest(CAST(:enrolments AS bigint[])),
                            unnest(CAST(:steps AS int[])),
                            json_array_elements_text(CAST(:customers AS json)),
                            json_array_elements_text(CAST(:channels AS json)),
                            json_array_elements_text(CAST(:details AS json)))
                 AS b (enrolment, step, customer, channel, detail)
            """
        ),
        {
            "account": account,
            "rule": MOVED,
            "now": now,
            "enrolments": numbers(enrolments),
            "steps": numbers(steps),
            "customers": texts(customers),
            "channels": texts(channels),
            "details": texts(details),
        },
    )


class InUse(NamedTuple):
    """A version of a schedule, and who is on it."""

    schedule: str
    version: int
    newest: bool
    sends: int
    """Of a whole run."""
    customers: int
    created_at: datetime


def versions_in_use(
    connection: Connection, account: str, schedule: str | None = None
) -> list[InUse]:
    """Every version of an account's schedules (or of one), with the customers on it now."""
    rows = connection.execute(
        text(
            """
            SELECT v.schedule, v.version, v.version = max(v.version) OVER (PARTITION BY v.schedule),
                   coalesce(v.length, jsonb_array_length(v.definition->'steps')),
                   (SELECT count(DISTINCT e.slot) FROM enrolments e
                    WHERE e.account = v.account AND e.schedule = v.schedule
                      AND e.version = v.version AND e.slot IS NOT NULL),
                   v.created_at
            FROM schedule_versions v
            WHERE v.account = :account
              AND (CAST(:schedule AS text) IS NULL OR v.schedule = :schedule)
            ORDER BY v.schedule, v.version
            """
        ),
        {"account": account, "schedule": schedule},
    )
    return [InUse(*row) for row in rows]
