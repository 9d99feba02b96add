"""Kill switches: paused and resumed under one lock that whatever they forbid holds too.

A transaction that sends or applies commands takes the lock shared, in its first statement that
locks (HELD), and reads the switches in a later one. A pause takes it alone: so it waits for what
has begun, and what begins after it sees it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from domain.switch import CommandQueue, Scope, Switch

_LOCK = 4_152_001_741  # any number; taken by nobody else

HELD = f"(SELECT CAST(pg_advisory_xact_lock_shared({_LOCK}) AS text)) IS NOT NULL"
"""A condition that is true, and holds the switches as they are: before any row is locked."""

PAUSED_HERE = """
    (SELECT coalesce(jsonb_agg(jsonb_build_array(scope, name)), '[]') FROM switches
     WHERE account IN ('', :account))
"""
"""What is paused for an account: [[scope, name], …]."""


def sends_run(row: str) -> str:
    """A condition on a row with an account and a channel: neither of them is paused."""
    return (
        f"NOT EXISTS (SELECT 1 FROM switches w WHERE w.account IN ('', {row}.account) "
        f"AND (w.scope = 'account' OR (w.scope = 'channel' AND w.name = {row}.channel)))"
    )


def runs(queue: CommandQueue) -> str:
    """A condition: the commands of a queue are applied."""
    return (
        "NOT EXISTS (SELECT 1 FROM switches "
        f"WHERE account = '' AND scope = 'queue' AND name = '{queue.value}')"
    )


LIFECYCLE_RUNS = runs(CommandQueue.LIFECYCLE)

BULK_RUNS = f"({LIFECYCLE_RUNS} AND {runs(CommandQueue.BULK)})"
"""A pause of lifecycle is one of bulk: the commands of a customer keep their order."""

MAY_APPLY = f"""
    {LIFECYCLE_RUNS} AND CASE WHEN {BULK_RUNS} THEN true ELSE NOT EXISTS (
        SELECT 1 FROM command_targets e JOIN commands c USING (account, seq)
        WHERE e.account = t.account AND e.customer = t.customer AND e.state = 'waiting'
          AND e.seq <= t.seq AND (e.bulk OR c.body->>'all_or_none' = 'true')) END
"""
"""A condition on a waiting target `t`: it is applied now. While bulk is paused, nothing is that
came behind bulk work of the same customer, nor what asks for all or none: others may wait."""

COMMANDS_PAUSED = "EXISTS (SELECT 1 FROM switches WHERE account = '' AND scope = 'queue')"


class PausedSince(NamedTuple):
    """A switch that is on."""

    account: str
    scope: str
    name: str
    paused_at: datetime
    reason: str
    source: str
    after_send: int
    after_entry: int

    @property
    def switch(self) -> Switch:
        return Switch(Scope(self.scope), self.name, self.account)


class Numbers(NamedTuple):
    """The last numbers given out: of sends, and of the journal's entries."""

    send: int
    entry: int


_COLUMNS = "account, scope, name, paused_at, reason, source, after_send, after_entry"
_THIS = "account = :account AND scope = :scope AND name = :name"


def lock_alone(connection: Connection) -> None:
    """Wait for all that a switch can forbid to end, and let nothing of it begin."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def lifecycle_runs(connection: Connection) -> bool:
    """Whether commands are applied at all; the switches are held since an earlier statement."""
    return bool(connection.execute(text(f"SELECT {LIFECYCLE_RUNS}")).scalar_one())


def hold_bulk(connection: Connection) -> bool:
    """Hold the switches as they are; whether bulk commands are applied."""
    connection.execute(text(f"SELECT {HELD}"))
    return bool(connection.execute(text(f"SELECT {BULK_RUNS}")).scalar_one())


def last_numbers(connection: Connection) -> Numbers:
    """Exact under the lock: whoever takes one holds it shared."""
    row = connection.execute(
        text(
            "SELECT coalesce(pg_sequence_last_value(CAST("
            "           pg_get_serial_sequence('started', 'send') AS regclass)), 0),"
            "       coalesce(pg_sequence_last_value(CAST("
            "           pg_get_serial_sequence('journal', 'entry') AS regclass)), 0)"
        )
    ).one()
    return Numbers(*row)


def put(
    connection: Connection, switch: Switch, *, reason: str, source: str, after: Numbers
) -> None:
    """Switch on what is off."""
    connection.execute(
        text(
            "INSERT INTO switches (account, scope, name, reason, source, after_send, after_entry)"
            "VALUES (:account, :scope, :name, :reason, :source, :after_send, :after_entry)"
        ),
        {
            **switch._asdict(),
            "reason": reason,
            "source": source,
            "after_send": after.send,
            "after_entry": after.entry,
        },
    )


def read(connection: Connection, switch: Switch) -> PausedSince | None:
    """Whether it is on, and since when."""
    row = connection.execute(
        text(f"SELECT {_COLUMNS} FROM switches WHERE {_THIS}"), switch._asdict()
    ).one_or_none()
    return PausedSince(*row) if row else None


def remove(connection: Connection, switch: Switch) -> None:
    """Switch off."""
    connection.execute(text(f"DELETE FROM switches WHERE {_THIS}"), switch._asdict())


def paused(connection: Connection, account: str | None) -> list[PausedSince]:
    """All that is paused, or what concerns one account."""
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM switches "
            "WHERE CAST(:account AS text) IS NULL OR account IN ('', :account) "
            "ORDER BY account, scope, name"
        ),
        {"account": account},
    )
    return [PausedSince(*row) for row in rows]


def in_progress(connection: Connection, switch: Switch) -> int:
    """How many sends that a switch forbids are started and not settled."""
    found: int = connection.execute(
        text(
            "SELECT count(*) FROM started WHERE :account IN ('', account) "
            "AND channel = ANY(CAST(:channels AS text[])) "
            "AND (CAST(:template AS text) IS NULL OR template = :template)"
        ),
        {"account": switch.account, "channels": switch.channels, "template": switch.template},
    ).scalar_one()
    return found


def has_template(connection: Connection, account: str, template: str) -> bool:
    """Whether there is anything to pause under this name."""
    return bool(
        connection.execute(
            text(
                "SELECT EXISTS (SELECT 1 FROM template_versions "
                "WHERE account = :account AND template = :template)"
            ),
            {"account": account, "template": template},
        ).scalar_one()
    )


def accounts_concerned(connection: Connection, switch: Switch) -> list[str]:
    """The accounts that have something which a resume brings forward or spreads."""
    rows = connection.execute(
        text(
            """
            SELECT a.account
            FROM (SELECT account, coalesce(test_now, statement_timestamp()) AS now
                  FROM accounts WHERE :account IN ('', account)) AS a
            -- The first of each channel, as for a tick: asked whether any is due, the planner may
            -- read all that is pending.
            WHERE EXISTS (SELECT 1 FROM unnest(CAST(:channels AS text[])) AS c (channel)
                          WHERE (SELECT p.due_at FROM pending p
                                 WHERE p.account = a.account AND p.channel = c.channel
                                 ORDER BY p.due_at LIMIT 1) <= a.now)
               OR EXISTS (SELECT 1 FROM pending p
                          WHERE p.account = a.account AND p.deferred = :deferred
                            AND p.deferred IN ('paused', 'command_waits'))
            ORDER BY a.account
            """
        ),
        {"account": switch.account, **_what(switch)},
    )
    return [row.account for row in rows]


_OVERDUE = """
    ((p.channel = ANY(CAST(:channels AS text[])) AND p.due_at <= {now}) OR p.deferred = :deferred)
"""


def _what(switch: Switch) -> dict[str, Any]:
    return {"channels": switch.channels, "deferred": deferred_by(switch)}


def deferred_by(switch: Switch) -> str | None:
    """The gate's rule that puts off what a switch forbids; None: it never comes to the gate."""
    if switch.scope is Scope.QUEUE:
        return "command_waits"
    return "paused" if switch.scope is Scope.TEMPLATE else None


def overdue(
    connection: Connection, account: str, switch: Switch, now: datetime, *, deferred_only: bool
) -> list[int]:
    """The enrolments whose send waited for a switch, in the order that they were planned in."""
    rows = connection.execute(
        text(
            f"""
            SELECT p.enrolment FROM pending p
            WHERE p.account = :account AND {_OVERDUE.format(now=":now")}
              AND (CAST(:template AS text) IS NULL OR EXISTS (
                   SELECT 1 FROM enrolments e JOIN schedule_versions v
                       USING (account, schedule, version)
                   WHERE e.account = p.account AND e.enrolment = p.enrolment
                     AND CASE WHEN p.fallback IS NULL THEN layby_step(v.definition, p.step)
                              ELSE layby_step(v.definition, p.step)->'fallback' END
                         ->>'template' = :template))
            ORDER BY p.planned_at, p.enrolment
            """
        ),
        {
            **_what(switch),
            "channels": [] if deferred_only else switch.channels,
            "account": account,
            "now": now,
            "template": switch.template,
        },
    )
    return [row.enrolment for row in rows]


def put_off(
    connection: Connection,
    account: str,
    switch: Switch,
    now: datetime,
    moments: Sequence[tuple[int, datetime]],
) -> int:
    """Give sends that still wait a moment each; returns to how many.

    A row that somebody holds is left to them: it is being taken out or planned anew, and counts
    from that. Nothing waits for a lock here, so no deadlock can come of holding rows of `pending`
    without their slots.
    """
    enrolments, due_ats = zip(*moments, strict=True)
    return connection.execute(
        text(
            f"""
            WITH held AS MATERIALIZED (
                SELECT w.enrolment, w.due_at
                FROM unnest(CAST(:enrolments AS bigint[]), CAST(:due_ats AS timestamptz[]))
                     AS w (enrolment, due_at),
                LATERAL (SELECT 1 FROM pending p
                         WHERE p.account = :account AND p.enrolment = w.enrolment
                           AND {_OVERDUE.format(now=":now")}
                         OFFSET 0 FOR UPDATE SKIP LOCKED) p
            )
            UPDATE pending p
            SET due_at = held.due_at,
                -- Kept: its commands must have been applied when it comes to the gate again.
                deferred = CASE p.deferred WHEN 'command_waits' THEN p.deferred END
            FROM held
            WHERE p.account = :account AND p.enrolment = held.enrolment
            """
        ),
        {
            **_what(switch),
            "account": account,
            "now": now,
            "enrolments": list(enrolments),
            "due_ats": list(due_ats),
        },
    ).rowcount
