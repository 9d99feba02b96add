"""`layby send` and `layby command`: put commands in, and see what became of them."""

import json as json_
import sys
from pathlib import Path
from typing import Annotated

import typer

from config.settings import read_settings
from domain.commands import Command, CommandState, UnreadableCommandError, read_command
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
    commands = [_read(number, line) for number, line in _lines(file)]
    if not commands:
        raise UserError(f"There is no command in {file}. Write one JSON object, or one a line.")
    with open_installation(read_settings()) as installation:
        accepted = accept_all(installation.engine, installation.bell(), commands, "send")
        sent = [(one.account, one.set_aside_as or one.command) for one in accepted]
        results = wait_for(installation, sent, wait, timeout)
    print_outcomes(results, json)
    if any(result.state in _NOT_WELL for result in results):
        raise typer.Exit(1)


_NOT_WELL = (CommandState.REFUSED, CommandState.QUARANTINED, CommandState.PARTLY)


def _lines(file: str) -> list[tuple[int, str]]:
    try:
        content = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not in UTF-8"
        raise UserError(f"Cannot read {file}: {why}.") from None
    # Not at the other line ends of Unicode, which may stand within a JSON text.
    lines = [(n, line) for n, line in enumerate(content.split("\n"), 1) if line.strip()]
    # One on several lines, right or wrong: its first line alone is nothing.
    return [(1, content)] if lines and not _is_json(lines[0][1]) else lines


def _is_json(text: str) -> bool:
    try:
        json_.loads(text)
    except ValueError:
        return False
    except RecursionError:
        pass  # the reader says what is wrong with it
    return True


def _read(number: int, line: str) -> Command:
    try:
        return read_command(line)
    except UnreadableCommandError as error:
        raise UserError(f"Line {number} is no command, and nothing was sent: {error}") from None


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
