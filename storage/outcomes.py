"""What commands came to: the answer to whoever sent one."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy import Connection, text

from domain.commands import CommandState


class RefusedLine(BaseModel):
    customer: str | None
    code: str
    message: str


class Progress(NamedTuple):
    """How far a command is, by its own row alone: what a waiter looks at again and again."""

    account: str
    command: str
    state: CommandState
    bulk: bool
    targets: int
    applied: int
    refused: int
    superseded: int
    resolved: bool

    @property
    def done(self) -> bool:
        return self.state is not CommandState.ACCEPTED

    @property
    def decided(self) -> int:
        """For how many customers it is over."""
        return self.applied + self.refused + self.superseded


REFUSALS_SHOWN = 100


class Outcome(BaseModel):
    """A command's outcome so far. `quiet_at` is set once every silenced customer is quiet.

    `unknown` counts from then on, and becomes less when word comes after all.
    """

    id: str
    account: str
    kind: str
    state: CommandState
    received_at: datetime
    done_at: datetime | None
    targets: int
    applied: int
    refused: int
    superseded: int
    cancelled: int
    started: int
    unknown: int
    quiet_at: datetime | None
    unquiet: SkipJsonSchema[int] = Field(exclude=True)
    refusals: list[RefusedLine]
    """The first 100 of those refused and superseded, by customer; `read_refusals` has them all."""

    @property
    def done(self) -> bool:
        return self.state is not CommandState.ACCEPTED

    @property
    def awaits_quiet(self) -> bool:
        """Whether it is still to be applied, or has silenced someone not yet seen quiet."""
        return not self.done or self.unquiet > 0


def read_outcome(connection: Connection, account: str, command: str) -> Outcome | None:
    """One command's outcome; None: no such command is ours."""
    found = _outcomes(
        connection,
        "c.account = :account AND c.command = :command",
        account=account,
        command=command,
    )
    return found[0] if found else None


Name = tuple[str, str]
"""A command's account and id."""


class Reached(NamedTuple):
    """What somebody who waits for a command wants to know."""

    done: bool
    awaits_quiet: bool


def read_outcomes(connection: Connection, names: Collection[Name]) -> dict[Name, Outcome]:
    """Many commands' outcomes; those that are not ours are left out."""
    found = _outcomes(connection, "true", source=_ASKED, **_asked(names))
    return {(outcome.account, outcome.id): outcome for outcome in found}


def read_reached(connection: Connection, names: Collection[Name]) -> dict[Name, Reached]:
    """How far many commands are, for a fraction of what their outcomes cost."""
    rows = connection.execute(text(_REACHED), _asked(names))
    return {(account, command): Reached(*rest) for account, command, *rest in rows}


def _asked(names: Collection[Name]) -> dict[str, object]:
    return {
        "accounts": [account for account, _ in names],
        "commands": [command for _, command in names],
    }


_ASKED = """
    unnest(CAST(:accounts AS text[]), CAST(:commands AS text[])) AS asked (account, command),
    LATERAL (SELECT * FROM commands
             WHERE account = asked.account AND command = asked.command OFFSET 0) AS c
"""

_REACHED = f"""
    SELECT c.account, c.command, c.state <> 'accepted',
           c.state = 'accepted' OR EXISTS (
               SELECT 1 FROM command_targets t WHERE t.account = c.account AND t.seq = c.seq
               AND t.open IS NOT NULL AND t.quiet_at IS NULL)
    FROM {_ASKED}
"""


def read_progress(connection: Connection, names: Sequence[tuple[str, str]]) -> list[Progress]:
    """How far these commands (account, id) are, in the order given; who is not ours is left out."""
    accounts, commands = zip(*names, strict=True) if names else ((), ())
    rows = connection.execute(
        text(
            """
            SELECT c.account, c.command, c.state, c.bulk, c.targets, c.applied, c.refused,
                   c.superseded, NOT c.bulk OR c.resolved_at IS NOT NULL
            FROM unnest(CAST(:accounts AS text[]), CAST(:commands AS text[]))
                 WITH ORDINALITY AS asked (account, command, n)
            JOIN commands c USING (account, command) ORDER BY asked.n
            """
        ),
        {"accounts": list(accounts), "commands": list(commands)},
    )
    return [Progress(row[0], row[1], CommandState(row[2]), *row[3:]) for row in rows]


def read_refusals(
    connection: Connection, account: str, command: str, after: str, limit: int
) -> list[RefusedLine]:
    """The next lines refused or superseded, by customer, after one."""
    rows = connection.execute(
        text(
            """
            SELECT t.customer, t.code, t.message
            FROM commands c JOIN command_targets t ON t.account = c.account AND t.seq = c.seq
            WHERE c.account = :account AND c.command = :command AND t.customer > :after
              AND t.state IN ('refused', 'superseded')
            ORDER BY t.customer LIMIT :limit
            """
        ),
        {"account": account, "command": command, "after": after, "limit": limit},
    ).mappings()
    return [RefusedLine(**row) for row in rows]


def find_outcomes(connection: Connection, command: str, account: str | None) -> list[Outcome]:
    """Every account's command of this id; ids are given once in an account only."""
    if account is None:
        return _outcomes(connection, "true", source=_OF_THIS_ID, command=command)
    found = read_outcome(connection, account, command)
    return [found] if found else []


_EVERY_ACCOUNT = """
    (WITH RECURSIVE named AS (
        (SELECT account FROM commands ORDER BY account LIMIT 1)
        UNION ALL
        SELECT later.account FROM named, LATERAL (
            SELECT l.account FROM commands l WHERE l.account > named.account
            ORDER BY l.account LIMIT 1
        ) later
    ) SELECT account FROM named) AS named
"""
"""Those that commands name, there or not: from one to the next along the index."""

_OF_THIS_ID = f"""
    {_EVERY_ACCOUNT},
    LATERAL (SELECT * FROM commands
             WHERE account = named.account AND command = :command OFFSET 0) AS c
"""


def list_outcomes(
    connection: Connection, account: str | None, state: CommandState | None, limit: int
) -> list[Outcome]:
    """The newest commands first."""
    if account is not None:
        newest = _NEWEST.format(source="commands c", of="c.account = :account")
    elif state is not None:
        newest = _NEWEST.format(source="commands c", of="true")
    else:
        # No index has the numbers of all accounts: each account's newest, and of these the newest.
        each = _NEWEST.format(source="commands c", of="c.account = named.account")
        newest = _NEWEST.format(source=f"{_EVERY_ACCOUNT}, LATERAL {each} AS c", of="true")
    return _outcomes(
        connection,
        "true ORDER BY c.seq DESC",
        source=f"{newest} AS c",
        account=account,
        state=state.value if state else None,
        limit=limit,
    )


_NEWEST = """
    (SELECT c.* FROM {source}
     WHERE {of} AND (CAST(:state AS text) IS NULL OR c.state = :state)
     ORDER BY c.seq DESC LIMIT :limit)
"""


def _outcomes(
    connection: Connection, condition: str, *, source: str = "commands c", **values: object
) -> list[Outcome]:
    statement = _OUTCOMES.format(source=source, condition=condition)
    rows = connection.execute(text(statement), {**values, "shown": REFUSALS_SHOWN}).mappings()
    return [_outcome(dict(row)) for row in rows]


def _outcome(row: dict[str, Any]) -> Outcome:
    problem = row.pop("problem")
    refusals = row.pop("refusals") or []
    if problem is not None:
        code = "quarantined" if row["state"] == "quarantined" else "refused"
        refusals.append({"customer": None, "code": code, "message": problem})
    return Outcome(**row, refusals=refusals)


_OUTCOMES = """
    SELECT c.command AS id, c.account, c.kind, c.state, c.received_at, c.done_at, c.targets,
           c.applied, c.refused, c.superseded, c.problem, t.cancelled, t.started, t.unknown,
           CASE WHEN c.state <> 'accepted' AND t.watched > 0 AND t.watched = t.quiet
                THEN t.quiet_at END AS quiet_at, t.watched - t.quiet AS unquiet,
           CASE WHEN c.refused + c.superseded > 0 THEN (
               SELECT jsonb_agg(to_jsonb(line)) FROM (
                   SELECT customer, code, message FROM command_targets t
                   WHERE t.account = c.account AND t.seq = c.seq
                     AND t.state IN ('refused', 'superseded')
                   ORDER BY customer LIMIT :shown) AS line) END AS refusals
    FROM {source} CROSS JOIN LATERAL (
        SELECT coalesce(sum(cancelled), 0) AS cancelled,
               coalesce(sum(cardinality(open)), 0) AS started,
               -- Of those without a word at the time of quiet: word may have come since.
               coalesce(sum((SELECT count(*)
                             FROM enrolments e JOIN sends s USING (account, enrolment)
                             WHERE e.account = t.account AND e.customer = t.customer
                               AND s.send = ANY(t.open) AND s.state = 'unknown'))
                        FILTER (WHERE unknown > 0), 0) AS unknown,
               count(open) AS watched, count(quiet_at) AS quiet, max(quiet_at) AS quiet_at
        FROM command_targets t WHERE t.account = c.account AND t.seq = c.seq
    ) t
    WHERE {condition}
"""
