"""What commands came to: the answer to whoever sent one."""

from collections.abc import Collection
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


class Outcome(BaseModel):
    """A command's outcome so far. `quiet_at` is set once every silenced customer is quiet."""

    id: str
    account: str
    kind: str
    state: CommandState
    received_at: datetime
    done_at: datetime | None
    targets: int
    applied: int
    superseded: int
    cancelled: int
    started: int
    unknown: int
    quiet_at: datetime | None
    unquiet: SkipJsonSchema[int] = Field(exclude=True)
    refusals: list[RefusedLine]

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


class Progress(NamedTuple):
    """What somebody who waits for a command wants to know."""

    done: bool
    awaits_quiet: bool


def read_outcomes(connection: Connection, names: Collection[Name]) -> dict[Name, Outcome]:
    """Many commands' outcomes; those that are not ours are left out."""
    found = _outcomes(connection, "true", source=_ASKED, **_asked(names))
    return {(outcome.account, outcome.id): outcome for outcome in found}


def read_progress(connection: Connection, names: Collection[Name]) -> dict[Name, Progress]:
    """How far many commands are, for a fraction of what their outcomes cost."""
    rows = connection.execute(text(_PROGRESS), _asked(names))
    return {(account, command): Progress(*rest) for account, command, *rest in rows}


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

_PROGRESS = f"""
    SELECT c.account, c.command, c.state <> 'accepted',
           c.state = 'accepted' OR EXISTS (
               SELECT 1 FROM command_targets t WHERE t.account = c.account AND t.seq = c.seq
               AND t.open IS NOT NULL AND t.quiet_at IS NULL)
    FROM {_ASKED}
"""


def find_outcomes(connection: Connection, command: str, account: str | None) -> list[Outcome]:
    """Every account's command of this id; ids are given once in an account only."""
    return _outcomes(
        connection,
        "c.command = :command AND (CAST(:account AS text) IS NULL OR c.account = :account)",
        command=command,
        account=account,
    )


def list_outcomes(
    connection: Connection, account: str | None, state: CommandState | None, limit: int
) -> list[Outcome]:
    """The newest commands first."""
    return _outcomes(
        connection,
        "(CAST(:account AS text) IS NULL OR c.account = :account) "
        "AND (CAST(:state AS text) IS NULL OR c.state = :state) ORDER BY c.seq DESC LIMIT :limit",
        account=account,
        state=state.value if state else None,
        limit=limit,
    )


def _outcomes(
    connection: Connection, condition: str, *, source: str = "commands c", **values: object
) -> list[Outcome]:
    statement = _OUTCOMES.format(source=source, condition=condition)
    rows = connection.execute(text(statement), values).mappings()
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
           c.applied, c.superseded, c.problem, t.cancelled, t.started, t.unknown,
           CASE WHEN c.state <> 'accepted' AND t.watched > 0 AND t.watched = t.quiet
                THEN t.quiet_at END AS quiet_at, t.watched - t.quiet AS unquiet,
           t.refusals
    FROM {source} CROSS JOIN LATERAL (
        SELECT coalesce(sum(cancelled), 0) AS cancelled,
               coalesce(sum(cardinality(open)), 0) AS started,
               coalesce(sum(unknown), 0) AS unknown,
               count(open) AS watched, count(quiet_at) AS quiet, max(quiet_at) AS quiet_at,
               jsonb_agg(jsonb_build_object('customer', customer, 'code', code,
                         'message', message) ORDER BY customer)
                   FILTER (WHERE state IN ('refused', 'superseded')) AS refusals
        FROM command_targets t WHERE t.account = c.account AND t.seq = c.seq
    ) t
    WHERE {condition}
"""
