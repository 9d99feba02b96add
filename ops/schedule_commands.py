"""`layby schedule apply`, `list` and `diff`: schedules from files into an account."""

import json as json_
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from config.settings import read_settings
from domain.commands import CommandState, read_command
from domain.journey import Kind
from ops.installation import Installation, open_installation
from ops.named import read_account, the_account
from ops.schedule_file import NamedSchedule, read_schedule_file
from ops.schedule_preview import preview_
from ops.screen import Account, Json, UserError, screen
from ops.waiting import wait_for
from storage.definitions import newest_templates
from storage.versions import InUse, versions_in_use
from workers.sending import accept_all
from workers.versions import diff

app = typer.Typer(
    help="Schedules from files: look at them, apply them, see who is on which version.",
    no_args_is_help=True,
)
app.command("preview")(preview_)

File = Annotated[Path, typer.Argument(help="A YAML or JSON file, or several schedules in one.")]


@app.command("apply")
def apply(
    file: File,
    account: Account = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)] = 60.0,
    json: Json = False,
) -> None:
    """Bring a file's schedules: what has changed is a new version, for those assigned from now.

    Who is on an older version stays there, until a move_to_version: see `layby schedule diff`.
    """
    schedules = read_schedule_file(file)
    with open_installation(read_settings()) as installation:
        into = the_account(installation.engine, account)
        before = {name: version for name, version, _ in _newest(installation, into, schedules)}
        _put(installation, into, schedules, timeout)
        after = _newest(installation, into, schedules)
        missing = _missing_templates(installation, into, schedules)
    rows = [
        {
            "account": into,
            "schedule": name,
            "version": version,
            "new": before.get(name) != version,
            "on_older_versions": older,
            "templates_missing": missing[name],
        }
        for name, version, older in after
    ]
    if json:
        screen.json(rows)
        return
    for row in rows:
        _tell(row)


def _put(
    installation: Installation, account: str, schedules: list[NamedSchedule], timeout: float
) -> None:
    commands = [
        read_command(
            json_.dumps(
                {
                    "id": f"apply-{one.name[:80]}-{uuid4().hex[:12]}",
                    "account": account,
                    "kind": Kind.PUT_SCHEDULE,
                    "source": "layby schedule apply",
                    "schedule": one.name,
                    "definition": one.definition.model_dump(mode="json", by_alias=True),
                }
            )
        )
        for one in schedules
    ]
    accepted = accept_all(installation.engine, installation.bell(), commands, "schedule apply")
    sent = [(one.account, one.set_aside_as or one.command) for one in accepted]
    for outcome in wait_for(installation, sent, "done", timeout):
        if outcome.state is not CommandState.APPLIED:
            said = "; ".join(line.message for line in outcome.refusals)
            raise UserError(said or f"Command {outcome.id} is {outcome.state.value}.")


def _newest(
    installation: Installation, account: str, schedules: list[NamedSchedule]
) -> list[tuple[str, int, int]]:
    """Of each schedule that is there: the newest version, and customers on older ones."""
    with installation.engine.connect() as connection:
        found = versions_in_use(connection, account)
    versions: dict[str, list[InUse]] = {one.name: [] for one in schedules}
    for one in found:
        if one.schedule in versions:
            versions[one.schedule].append(one)
    return [
        (name, each[-1].version, sum(one.customers for one in each[:-1]))
        for name, each in versions.items()
        if each
    ]


def _missing_templates(
    installation: Installation, account: str, schedules: list[NamedSchedule]
) -> dict[str, list[str]]:
    """What a schedule's steps would be skipped for."""
    missing = {}
    with installation.engine.connect() as connection:
        for one in schedules:
            ways = {
                way
                for step in one.definition.steps
                for way in (step, step.fallback)
                if way is not None
            }
            there = newest_templates(connection, account, {way.template for way in ways})
            missing[one.name] = sorted(
                {
                    f"{way.template} ({way.channel.value})"
                    for way in ways
                    if way.template not in there
                    or there[way.template].definition.channel is not way.channel
                }
            )
    return missing


def _tell(row: dict[str, Any]) -> None:
    named = f"Schedule {row['schedule']} of {row['account']}"
    if row["new"]:
        screen.say(f"{named} is at version {row['version']} now.")
    else:
        screen.say(f"{named} is at version {row['version']}, as before: nothing has changed.")
    if row["templates_missing"]:
        screen.say(
            f"  There is no template {', '.join(row['templates_missing'])}: those steps would be "
            "skipped. Bring it with put_template."
        )
    if row["on_older_versions"]:
        screen.say(
            f"  On older versions: {row['on_older_versions']:,}. What a move would change: "
            f"layby schedule diff {row['schedule']} --account {row['account']}"
        )


@app.command("list")
def list_(account: Account = None, json: Json = False) -> None:
    """List an account's schedules, with each version and how many customers are on it."""
    with open_installation(read_settings()) as installation:
        named = the_account(installation.engine, account)
        with installation.engine.connect() as connection:
            rows = [one._asdict() for one in versions_in_use(connection, named)]
    screen.table(json, rows, none=f"Account {named} has no schedule.")


@app.command("diff")
def show_diff(
    schedule: Annotated[str, typer.Argument(help="The schedule's name.")],
    account: Account = None,
    from_version: Annotated[
        int | None, typer.Option("--from", help="Only who is on this version.", min=1)
    ] = None,
    json: Json = False,
) -> None:
    """Tell what `move_to_version` would do to those on older versions, before it is done."""
    with open_installation(read_settings()) as installation:
        named = the_account(installation.engine, account)
        with installation.engine.connect() as connection:
            read_account(connection, named)
        found = diff(installation.engine, named, schedule, from_version)
    if found is None:
        raise UserError(
            f"Account {named} has no schedule {schedule}. See: layby schedule list --account "
            f"{named}"
        )
    said = found.in_words if any(found) else f"Nobody is on an older version of {schedule}."
    screen.result(json, {"account": named, "schedule": schedule, **found._asdict()}, said)
