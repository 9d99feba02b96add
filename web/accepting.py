"""From what a request brought to the inbox: each command is accepted or refused on its own."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from pydantic import BaseModel, Field

from domain.access import role_for
from domain.commands import Command, UnreadableCommandError, read_command
from storage import inbox, outcomes
from storage.database import Connection, DatabaseError, first_line, is_conflict, is_lost
from storage.inbox import Accepted
from storage.outcomes import Name, Outcome
from web.bearer import Caller
from web.problems import Problem, problem
from web.services import Services
from workers.sending import ring_for

log = structlog.get_logger()

DOOR = "http"


class Item(BaseModel):
    """What became of one command of a batch: 202 and its outcome, or why it was not accepted."""

    status: int = Field(description="202: accepted, with its outcome. Else see the problem.")
    outcome: Outcome | None = None
    problem: Problem | None = None

    @property
    def name(self) -> Name | None:
        return (self.outcome.account, self.outcome.id) if self.outcome else None


def accept(site: Services, calling: Caller, raws: Sequence[bytes]) -> list[Item]:
    """Take in what can be, in its order; the others are told why not. Blocks."""
    read = [_read(calling, raw) for raw in raws]
    commands = [one for one in read if not isinstance(one, Item)]
    taken = iter(_into_inbox(site, commands))
    items = [one if isinstance(one, Item) else next(taken) for one in read]
    log.info(
        "commands_came",
        token=calling.token,
        accepted=sum(one.outcome is not None for one in items),
        refused=sum(one.outcome is None for one in items),
    )
    return items


def _read(calling: Caller, raw: bytes) -> Command | Item:
    try:
        command = read_command(raw)
    except UnreadableCommandError as error:
        return _refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"{error}.", "unreadable")
    if not calling.reaches(command.account):
        return _refused(
            HTTPStatus.FORBIDDEN,
            f"This token is for account {calling.account} only. Send the command with a token of "
            "the account that it names.",
        )
    role = role_for(command)
    if not calling.role.covers(role):
        return _refused(
            HTTPStatus.FORBIDDEN,
            f"{command.kind.value} is for the role {role.value}, and your token's is "
            f"{calling.role.value}. Ask an admin for a token of that role.",
        )
    return command


def _into_inbox(site: Services, commands: Sequence[Command]) -> list[Item]:
    if not commands:
        return []
    try:
        accepted, items = site.transact(lambda connection: _accept(connection, commands))
    except DatabaseError as error:
        if is_lost(error) or is_conflict(error):
            raise
        # One command spoils them all: each on its own, and only the culprit is refused.
        accepted, items = site.transact(lambda connection: _accept_each(connection, commands))
    ring_for(site.bell, accepted)
    return items


Taken = tuple[list[Accepted | None], list[Item]]


def _accept(connection: Connection, commands: Sequence[Command]) -> Taken:
    accepted = inbox.accept_commands(connection, commands, DOOR)
    found = outcomes.read_outcomes(connection, {(one.account, one.command) for one in accepted})
    return [*accepted], [_item(one, found) for one in accepted]


def _accept_each(connection: Connection, commands: Sequence[Command]) -> Taken:
    accepted: list[Accepted | None] = []
    items = []
    for command in commands:
        try:
            with connection.begin_nested():
                ones, told = _accept(connection, [command])
        except DatabaseError as error:
            if is_lost(error) or is_conflict(error):
                raise
            ones, told = [None], [_not_kept(error)]
        accepted += ones
        items += told
    return accepted, items


def _item(accepted: Accepted, found: dict[Name, Outcome]) -> Item:
    if accepted.set_aside_as is not None:
        return _refused(
            HTTPStatus.CONFLICT,
            f"The id {accepted.command} was given to another command before, and ids are given "
            "once. Send this one with an id of its own; it is kept in quarantine as "
            f"{accepted.set_aside_as}.",
            "id-taken",
        )
    outcome = found[accepted.account, accepted.command]
    return Item(status=HTTPStatus.ACCEPTED, outcome=outcome)


def _not_kept(error: DatabaseError) -> Item:
    detail = f"The database can't keep this command: {first_line(error)}."
    return _refused(HTTPStatus.UNPROCESSABLE_ENTITY, detail, "unreadable")


def _refused(status: HTTPStatus, detail: str, name: str | None = None) -> Item:
    return Item(status=status, problem=problem(status, detail, name))


def as_json(item: Item) -> dict[str, Any]:
    return item.model_dump(mode="json", exclude_none=False)
