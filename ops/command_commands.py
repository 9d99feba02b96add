"""`layby send` and `layby command`: put commands in, and see what became of them."""

import json as json_
from typing import Annotated

import typer

from config.settings import read_settings
from domain.commands import CommandState, UnreadableCommandError, read_command
from ops.command_file import CommandFile
from ops.installation import Installation, open_installation
from ops.named import check_there
from ops.outcome_words import print_outcomes, spoken_moment
from ops.screen import Account, Json, Limit, UserError, screen
from ops.waiting import all_refusals, wait_for
from storage import inbox, outcomes, submissions, unapplied
from storage.database import Connection
from storage.outcomes import Outcome
from workers.sending import accept_all

app = typer.Typer(help="What became of commands.", no_args_is_help=True)


def send(
    file: Annotated[
        str, typer.Argument(help="A file with one JSON command, or one a line; - for stdin.")
    ],
    wait: Annotated[
        str | None,
        typer.Option(help="Wait until `done` (applied or refused), or until `quiet`."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)] = 60.0,
    json: Json = False,
) -> None:
    """Put commands into the inbox; all of them, or none if one can't be read."""
    if wait not in (None, "done", "quiet"):
        raise typer.BadParameter("--wait takes done or quiet")
    with CommandFile(file) as commands:
        commands.check()
        with open_installation(read_settings()) as installation:
            accepted = accept_all(installation.engine, installation.bell(), commands, "send")
            sent = [(one.account, one.set_aside_as or one.command) for one in accepted]
            results = wait_for(installation, sent, wait, timeout)
    print_outcomes(results, json)
    if any(result.state in _NOT_WELL for result in results):
        raise typer.Exit(1)


_NOT_WELL = (CommandState.REFUSED, CommandState.QUARANTINED, CommandState.PARTLY)


@app.command("show")
def show(
    command: str,
    account: Account = None,
    refusals: Annotated[
        bool, typer.Option("--refusals", help="Every customer refused, with the reason.")
    ] = False,
    json: Json = False,
) -> None:
    """Show one command's outcome so far."""
    with open_installation(read_settings()) as installation:
        found = _find(installation, command, account)
        if not refusals:
            print_outcomes([found], json)
            return
        lines = all_refusals(installation, found.account, found.id)
        if json:
            screen.json([line.model_dump() for line in lines])
            return
        for line in lines:
            screen.say(f"{line.customer}  {line.code}  {line.message}")


@app.command("list")
def list_(
    account: Account = None,
    state: Annotated[CommandState | None, typer.Option(help="Only in this state.")] = None,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List commands, the newest first."""
    with (
        open_installation(read_settings()) as installation,
        installation.engine.connect() as connection,
    ):
        results = outcomes.list_outcomes(connection, account, state, limit)
        check_there(connection, account, results)
    if json:
        screen.json([json_.loads(result.model_dump_json()) for result in results])
    elif results:
        print_outcomes(results, as_json=False)
    else:
        screen.say("There are no such commands.")


@app.command("replay")
def replay(command: str, account: Account = None, json: Json = False) -> None:
    """Try again what could not be read or applied, after an upgrade or a correction."""
    with open_installation(read_settings()) as installation:
        found = _find(installation, command, account)
        with installation.engine.begin() as connection:
            if not unapplied.replay(connection, found.account, found.id):
                found = _read_again(connection, found)
        for bulk in (False, True):  # whichever queue it was on
            installation.bell().waiting(found.account, bulk=bulk)
        sent = [(found.account, found.id)]
        print_outcomes(wait_for(installation, sent, "done", 10.0), json)


def _read_again(connection: Connection, found: Outcome) -> Outcome:
    if found.state is not CommandState.QUARANTINED:
        raise UserError(
            f"Command {found.id} is {found.state.value}: only what could not be read or applied "
            "can be replayed. To do it again, send it with a new id."
        )
    raw = inbox.quarantined_raw(connection, found.account, found.id)
    try:
        accepted = inbox.accept(connection, read_command(raw), "replay")
    except UnreadableCommandError as error:
        raise UserError(f"Command {found.id} still can't be read: {error}") from None
    if not accepted.fresh:
        raise UserError(
            f"Command {found.id} can't be replayed: its id {accepted.command} belongs to another "
            "command. Send it with an id of its own."
        )
    return found.model_copy(update={"account": accepted.account, "id": accepted.command})


def _find(installation: Installation, command: str, account: str | None) -> Outcome:
    with installation.engine.connect() as connection:
        found = outcomes.find_outcomes(connection, command, account)
        since = None if found else submissions.waiting_since(connection, command, account)
    if since is not None:
        raise UserError(
            f"Command {command} was submitted in SQL at {spoken_moment(since)} and is not taken "
            "in yet. Is an intake process running? Start one."
        )
    if not found:
        raise UserError(f"There is no command {command}. See: layby command list")
    if len(found) > 1:
        names = ", ".join(outcome.account or "(none)" for outcome in found)
        raise UserError(f"Several accounts have a command {command}: {names}. Give --account.")
    return found[0]
