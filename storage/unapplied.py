"""Commands that are not applied yet: what waits, and what could not be applied and may be again."""

from typing import NamedTuple

from sqlalchemy import Connection, text

from domain.commands import Command, CommandState, adapter
from storage.lines import Line, write_lines
from storage.often import Often
from storage.switches import BULK_RUNS, HELD, LIFECYCLE_RUNS, MAY_APPLY


class Work(NamedTuple):
    """What is to be done in an account, as of one moment."""

    customers: list[str]
    """For whom single work waits, those of the oldest commands first."""
    set_up: list[int]
    """Set-up commands, in order: whatever came before the customers' is among them."""
    plans: bool
    """Its customers are still to be planned by its new zone, or promises of theirs are over."""


def work_waiting(connection: Connection, account: str, limit: int) -> Work:
    """Up to `limit` of each; nothing of a queue that is paused.

    What waits of bulk work for these customers is applied with it; who has nothing else waits for
    the bulk queue (`storage/bulk.py`).
    """
    [row] = _WORK.rows(connection, {"account": account, "limit": limit})
    return Work(*row)


_WORK = Often(
    f"""
    SELECT ARRAY(SELECT DISTINCT customer FROM (
               SELECT customer FROM command_targets t
               WHERE account = :account AND state = 'waiting' AND NOT bulk AND {MAY_APPLY}
               ORDER BY seq LIMIT :limit) AS oldest),
           ARRAY(SELECT seq FROM commands
                 WHERE account = :account AND state = 'accepted' AND targets = 0 AND NOT bulk
                   AND {LIFECYCLE_RUNS}
                 ORDER BY seq LIMIT :limit),
           EXISTS (SELECT 1 FROM accounts
                   WHERE account = :account AND replan_after IS NOT NULL)
           OR EXISTS (SELECT 1 FROM accounts a JOIN marks m USING (account)
                      JOIN slots s ON s.account = m.account AND s.slot = m.slot
                      WHERE a.account = :account
                        AND m.until <= coalesce(a.test_now, statement_timestamp()))
    """
)


def lock_setup(connection: Connection, account: str, seq: int) -> Command | None:
    """A set-up command that is not applied yet, held; None: another worker was first."""
    body = connection.execute(
        text(
            "SELECT body FROM commands WHERE account = :account AND seq = :seq "
            f"AND state = 'accepted' AND targets = 0 AND NOT bulk AND {HELD} FOR UPDATE"
        ),
        {"account": account, "seq": seq},
    ).scalar_one_or_none()
    return adapter().validate_python(body) if body is not None else None


def finish_setup(
    connection: Connection, account: str, seq: int, state: CommandState, problem: str | None
) -> None:
    """Write a set-up command's outcome."""
    connection.execute(
        text(
            "UPDATE commands SET state = :state, problem = :problem, done_at = clock_timestamp() "
            "WHERE account = :account AND seq = :seq"
        ),
        {"account": account, "seq": seq, "state": state.value, "problem": problem},
    )


def set_aside(connection: Connection, account: str, customer: str, problem: str) -> None:
    """Refuse a customer's first waiting command, which can't be applied, until `replay`."""
    seq = connection.execute(
        text(
            "SELECT min(seq) FROM command_targets "
            "WHERE account = :account AND customer = :customer AND state = 'waiting'"
        ),
        {"account": account, "customer": customer},
    ).scalar_one()
    if seq is not None:
        line = Line(customer, seq, "refused", CANNOT_APPLY, problem)
        write_lines(connection, account, [line])


def set_aside_unresolved(connection: Connection, account: str, seq: int, problem: str) -> None:
    """Quarantine a bulk command whose next targets can't be found, until `replay` goes on there.

    Whom it waits for already waits with it: their lines are refused, and replayed with the rest.
    """
    held = connection.execute(
        text(
            "UPDATE commands SET state = 'quarantined', problem = :problem "
            "WHERE account = :account AND seq = :seq AND state = 'accepted' "
            "AND resolved_at IS NULL"
        ),
        {"account": account, "seq": seq, "problem": problem},
    ).rowcount
    connection.execute(
        text(
            """
            WITH refused AS (
                UPDATE command_targets
                SET state = 'refused', code = :code, message = :problem
                WHERE account = :account AND seq = :seq AND state = 'waiting' AND :held = 1
                RETURNING 1
            )
            UPDATE commands SET refused = refused + (SELECT count(*) FROM refused)
            WHERE account = :account AND seq = :seq
            """
        ),
        {"account": account, "seq": seq, "code": CANNOT_APPLY, "problem": problem, "held": held},
    )


CANNOT_APPLY = "cannot_apply"
"""The code of a refusal that is not the command's fault."""


def replay(connection: Connection, account: str, command: str) -> bool:
    """Let what could not be applied wait again; False: there is nothing of that."""
    # Before its lines, as everybody who writes both.
    connection.execute(
        text(
            "SELECT 1 FROM commands WHERE account = :account AND command = :command "
            "FOR NO KEY UPDATE"
        ),
        {"account": account, "command": command},
    )
    return (
        connection.execute(
            text(
                """
                WITH again AS (
                    UPDATE command_targets t SET state = 'waiting', code = NULL, message = NULL
                    FROM commands c
                    WHERE c.account = :account AND c.command = :command
                      AND t.account = c.account AND t.seq = c.seq AND t.code = :code
                    RETURNING t.account, t.seq
                )
                UPDATE commands c SET state = 'accepted', problem = NULL, done_at = NULL,
                       refused = refused - (SELECT count(*) FROM again)
                WHERE c.account = :account AND c.command = :command
                  AND (EXISTS (SELECT 1 FROM again)
                       OR (c.state = 'quarantined' AND c.body IS NOT NULL))
                """
            ),
            {"account": account, "command": command, "code": CANNOT_APPLY},
        ).rowcount
        == 1
    )


def accounts_waiting(connection: Connection, *, bulk: bool) -> list[str]:
    """Accounts with single or bulk commands not applied yet, skipping from one to the next.

    None while the queue is paused.
    """
    waits = f"c.state = 'accepted' AND {'c.bulk' if bulk else 'NOT c.bulk'}"
    runs = BULK_RUNS if bulk else LIFECYCLE_RUNS
    rows = connection.execute(
        text(
            f"""
            WITH RECURSIVE waiting AS (
                (SELECT account FROM commands c WHERE {waits} ORDER BY account LIMIT 1)
                UNION ALL
                SELECT later.account FROM waiting, LATERAL (
                    SELECT c.account FROM commands c
                    WHERE {waits} AND c.account > waiting.account
                    ORDER BY c.account LIMIT 1
                ) later
            )
            SELECT account FROM waiting WHERE {runs}
            """
        )
    )
    return [row.account for row in rows]
