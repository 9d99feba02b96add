"""What is old enough to go. By machine time: a test clock prunes nothing early.

Everything goes in batches that are found by an index, together with all that refers to it, so that
`layby audit` still accounts for everything that is there. Facts, suppressions and the profiles of
customers are never pruned.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

from sqlalchemy import Connection, text

_TARGETS_AT_ONCE = 5_000


class Keep(NamedTuple):
    """How long what is done with is kept; None: for ever."""

    commands: timedelta | None = None
    ledger: timedelta | None = None
    journal: timedelta | None = None


def moment_before(connection: Connection, keep: timedelta) -> datetime:
    """So long ago by the database's clock."""
    moment: datetime = connection.execute(
        text("SELECT clock_timestamp() - CAST(:keep AS interval)"), {"keep": keep}
    ).scalar_one()
    return moment


BEGINNING = datetime.min.replace(tzinfo=UTC)


class Pruned(NamedTuple):
    """What a batch came to."""

    gone: int
    looked_to: datetime
    """What is older than this and still there is kept for a reason, or held by somebody."""


def _pruned(moments: Sequence[datetime], before: datetime, *, is_all: bool) -> Pruned:
    return Pruned(len(moments), before if is_all else max(moments))


def prune_commands(connection: Connection, since: datetime, before: datetime, limit: int) -> Pruned:
    """Delete commands that were done between two moments, with their targets; the oldest first.

    Not what can be replayed, waits for quiet, or found a send in progress that the ledger still
    has: that is the proof that it began before the silence.
    """
    rows = connection.execute(text(_DONE), {"since": since, "before": before, "limit": limit}).all()
    upto = list(accumulate(row.targets for row in rows))
    old = rows[: max(1, bisect_right(upto, _TARGETS_AT_ONCE))]
    values = {"accounts": [row.account for row in old], "seqs": [row.seq for row in old]}
    for table in ("command_targets", "commands"):
        connection.execute(text(_DELETE_COMMANDS.format(table=table)), values)
    return _pruned([row.done_at for row in old], before, is_all=len(old) == len(rows) < limit)


_DONE = """
    SELECT account, seq, targets, done_at FROM commands c
    WHERE state NOT IN ('accepted', 'quarantined') AND done_at >= :since AND done_at < :before
      AND NOT EXISTS (
          SELECT 1 FROM command_targets t
          WHERE t.account = c.account AND t.seq = c.seq
            AND (t.code = 'cannot_apply' OR (t.open IS NOT NULL AND t.quiet_at IS NULL)
                 OR (cardinality(t.open) > 0 AND EXISTS (
                     SELECT 1 FROM enrolments e JOIN sends s USING (account, enrolment)
                     WHERE e.account = t.account AND e.customer = t.customer
                       AND s.send = ANY(t.open)))))
    ORDER BY done_at LIMIT :limit FOR UPDATE OF c SKIP LOCKED
"""

_DELETE_COMMANDS = """
    DELETE FROM {table} c
    USING unnest(CAST(:accounts AS text[]), CAST(:seqs AS bigint[])) AS old (account, seq)
    WHERE c.account = old.account AND c.seq = old.seq
"""


def prune_tokens(connection: Connection, since: datetime, before: datetime, limit: int) -> Pruned:
    """Delete tokens that were over between two moments: till then they tell whose commands were."""
    rows = connection.execute(
        text(
            """
            DELETE FROM tokens t USING (
                SELECT token, least(revoked_at, expires_at) AS over_at FROM tokens
                WHERE least(revoked_at, expires_at) >= :since
                  AND least(revoked_at, expires_at) < :before
                ORDER BY over_at LIMIT :limit
            ) old
            WHERE t.token = old.token
            RETURNING old.over_at
            """
        ),
        {"since": since, "before": before, "limit": limit},
    )
    moments = rows.scalars().all()
    return _pruned(moments, before, is_all=len(moments) < limit)


def prune_journal(connection: Connection, since: datetime, before: datetime, limit: int) -> Pruned:
    """Delete entries recorded between two moments, whose command is gone; the oldest first.

    What an erasure holds is passed by.
    """
    rows = connection.execute(
        text(
            """
            DELETE FROM journal j USING (
                SELECT account, entry, recorded_at FROM journal o
                WHERE recorded_at >= :since AND recorded_at < :before AND NOT EXISTS (
                    SELECT 1 FROM commands c WHERE c.account = o.account AND c.seq = o.seq)
                ORDER BY recorded_at LIMIT :limit FOR UPDATE SKIP LOCKED
            ) old
            WHERE j.account = old.account AND j.entry = old.entry
            RETURNING old.recorded_at
            """
        ),
        {"since": since, "before": before, "limit": limit},
    )
    moments = rows.scalars().all()
    return _pruned(moments, before, is_all=len(moments) < limit)


class Place(NamedTuple):
    """How far a walk along the ledger has come."""

    account: str
    enrolment: int


START = Place("", 0)


OF_NO_MONTH = "sends_default"
"""What was settled in a month without a partition of its own (storage/partitions.py)."""


def old_partitions(connection: Connection, before: datetime) -> list[str]:
    """The ledger's partitions of months that were over before a moment, the oldest first.

    And the one of no month, in which there may be something as old.
    """
    rows = connection.execute(
        text(
            """
            SELECT relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
            WHERE inhparent = CAST('sends' AS regclass)
              AND relname SIMILAR TO 'sends_[0-9]{6}'
              AND (to_date(right(relname, 6), 'YYYYMM') + interval '1 month')
                  AT TIME ZONE 'UTC' <= :before
            ORDER BY relname
            """
        ),
        {"before": before},
    )
    return [*(row.relname for row in rows), OF_NO_MONTH]


def enrolments_in(
    connection: Connection, partition: str, before: datetime, after: Place, limit: int
) -> list[Place]:
    """Enrolments with sends of before a moment in a partition, in order of their keys."""
    rows = connection.execute(
        text(
            f"SELECT DISTINCT account, enrolment FROM {partition} "
            "WHERE (account, enrolment) > (:account, :enrolment) AND settled_at < :before "
            "ORDER BY account, enrolment LIMIT :limit"
        ),
        {**after._asdict(), "before": before, "limit": limit},
    )
    return [Place(*row) for row in rows]


def lock_ended(connection: Connection, places: Sequence[Place]) -> list[Place]:
    """Hold those of these enrolments that have ended; what others hold is skipped."""
    rows = connection.execute(
        text(
            f"SELECT e.account, e.enrolment FROM {_PLACES} JOIN enrolments e "
            "USING (account, enrolment) WHERE e.slot IS NULL "
            "ORDER BY account, enrolment FOR UPDATE OF e SKIP LOCKED"
        ),
        _columns(places),
    )
    return [Place(*row) for row in rows]


def prune_enrolments(connection: Connection, places: Sequence[Place], before: datetime) -> int:
    """Delete held enrolments of which everything is older, with all their sends.

    Read in a statement after the one that holds them: nothing of them is started any more.
    """
    return connection.execute(
        text(_PRUNE_ENROLMENTS), {**_columns(places), "before": before}
    ).rowcount


_PLACES = (
    "unnest(CAST(:accounts AS text[]), CAST(:enrolments AS bigint[])) AS place (account, enrolment)"
)

_PRUNE_ENROLMENTS = f"""
    WITH old AS MATERIALIZED (
        SELECT account, enrolment FROM {_PLACES}
        WHERE NOT EXISTS (SELECT 1 FROM started r WHERE r.account = place.account
                            AND r.enrolment = place.enrolment)
          AND NOT EXISTS (SELECT 1 FROM sends s WHERE s.account = place.account
                            AND s.enrolment = place.enrolment AND s.settled_at >= :before)
    ), pruned AS (
        DELETE FROM sends s USING old
        WHERE s.account = old.account AND s.enrolment = old.enrolment
        RETURNING s.send
    ), undeferred AS (
        DELETE FROM deferrals d USING old
        WHERE d.account = old.account AND d.enrolment = old.enrolment
    ), marked AS (
        UPDATE upkeep SET pruned_send = newest
        FROM (SELECT max(send) AS newest FROM pruned) n WHERE newest > pruned_send
    )
    DELETE FROM enrolments e USING old
    WHERE e.account = old.account AND e.enrolment = old.enrolment
"""


def _columns(places: Sequence[Place]) -> dict[str, list[object]]:
    return {
        "accounts": [place.account for place in places],
        "enrolments": [place.enrolment for place in places],
    }


def drop_if_empty(connection: Connection, partition: str) -> bool:
    """Drop a partition with nothing in it; behind a long reader of the ledger it gives up."""
    if partition == OF_NO_MONTH:
        return False
    is_empty = text(f"SELECT NOT EXISTS (SELECT 1 FROM {partition})")
    if not connection.execute(is_empty).scalar_one():
        return False
    connection.execute(text("SET LOCAL lock_timeout = '500ms'"))
    connection.execute(text("LOCK TABLE sends IN ACCESS EXCLUSIVE MODE"))
    if not connection.execute(is_empty).scalar_one():
        return False
    connection.execute(text(f"DROP TABLE {partition}"))
    return True
