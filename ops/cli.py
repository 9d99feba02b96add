"""The command line. Exit status: 0 done, 1 refused or broken, 2 wrong usage."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from channels.protocol import ChannelError
from config.logs import configure_logs
from config.settings import SettingsError, read_settings
from ops import (
    audit_command,
    check_command,
    command_commands,
    demo,
    explain_command,
    forecast_command,
    import_command,
    reports,
    restore_command,
    schedule_commands,
    switch_commands,
    token_commands,
    travel_command,
    up,
)
from ops.installation import Installation, open_installation
from ops.processes import PROCESSES
from ops.schedule_file import ScheduleFileError
from ops.screen import Json, UserError, screen
from ops.servers import ServersError
from scheduler.ticks import Watch, make_partitions, ring, sweep
from storage.database import (
    DatabaseError,
    DatabaseTooOldError,
    DatabaseUnreachableError,
    check_reachable,
    connect,
    first_line,
)
from storage.installation import WrongKeyError
from storage.schema import SchemaError
from web.address import AddressError
from workers.broker import BrokerTooOldError, BrokerUnreachableError
from workers.fence import FencedError
from workers.replanning import plan_by_newer_data

app = typer.Typer(
    help="Layby: a job engine for customer reminders that can prove silence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("demo")(demo.demo)
app.command("check")(check_command.check)
app.command("send")(command_commands.send)
app.command("import")(import_command.import_)
app.add_typer(command_commands.app, name="command")
app.add_typer(token_commands.app, name="token")
app.command("customers")(reports.customers)
app.command("explain")(explain_command.explain)
app.command("forecast")(forecast_command.forecast_)
app.add_typer(schedule_commands.app, name="schedule")
app.command("travel")(travel_command.travel)
app.command("queues")(reports.queues)
app.command("failed")(reports.failed)
app.add_typer(reports.unknown_app, name="unknown")
app.command("audit")(audit_command.audit)
app.command("restore-fence")(restore_command.restore_fence)
app.command("pause")(switch_commands.pause)
app.command("resume")(switch_commands.resume)
app.command("switches")(switch_commands.list_switches)


def _tell_version(wanted: bool) -> None:
    if wanted:
        screen.say(f"layby {version('layby')}")
        raise typer.Exit


@app.callback()
def _layby(
    _: Annotated[
        bool,
        typer.Option("--version", help="Tell the version.", callback=_tell_version, is_eager=True),
    ] = False,
) -> None:
    pass


KNOWN = (
    UserError,
    SettingsError,
    ServersError,
    SchemaError,
    WrongKeyError,
    ChannelError,
    DatabaseTooOldError,
    DatabaseUnreachableError,
    BrokerTooOldError,
    BrokerUnreachableError,
    AddressError,
    FencedError,
    ScheduleFileError,
)
"""Errors whose message says what to do."""


def main() -> None:
    """Run the command line; what is known to go wrong is told without a traceback."""
    configure_logs("layby", readable=sys.stderr.isatty())
    try:
        app()
    except KNOWN as error:
        _fail(str(error))
    except DatabaseError as error:
        _fail(f"The database went away: {first_line(error)}. Run the command again.")
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


def _fail(message: str) -> None:
    screen.error(message)
    sys.exit(1)


@app.command("migrate")
def migrate_command() -> None:
    """Bring the database named by LAYBY_DATABASE_URL to this version's schema."""
    settings = read_settings()
    if settings.database_url is None:
        with open_installation(settings, connections=1):
            screen.say("The private database is at this version's schema.")
        return
    from storage.migrate import migrate  # noqa: PLC0415 - alembic costs a tenth of a start

    engine = connect(settings.database_url, connections=1)
    try:
        check_reachable(engine)
        screen.say(f"The database is at revision {migrate(engine)}.")
    finally:
        engine.dispose()


@app.command("tick")
def tick(json: Json = False) -> None:
    """Trigger what is due, once: for cron, Airflow or a Kubernetes CronJob.

    Stays, up to a hand-over's lease, only while started sends have no word: they may need rescue.
    """
    with open_installation(read_settings()) as installation:
        installation.fence.check()
        rung = ring(installation.engine, installation.bell())
        rescued = _watch(installation)
        plan_by_newer_data(installation.engine)
        make_partitions(installation.engine)
        quiet = sweep(installation.engine)
    if rung.problem is not None:
        raise BrokerUnreachableError(rung.problem)
    screen.result(
        json,
        {"rung": rung.made, "rescued": rescued, "quiet": quiet},
        f"Rang for {rung.made}, rescued {rescued}, {quiet} became quiet.",
    )


def _watch(installation: Installation) -> int:
    watch = Watch()
    rescued = watch.rescue(installation.engine)
    while watch.watching:
        screen.wait(1.0)
        rescued += watch.rescue(installation.engine)
    return rescued


def _add_process(name: str, run: Callable[[Installation], None]) -> None:
    def process(
        readable: Annotated[
            bool, typer.Option("--readable", help="Log for a person, as on a terminal.")
        ] = False,
    ) -> None:
        configure_logs(name, readable=readable or sys.stderr.isatty())
        with open_installation(read_settings()) as installation:
            run(installation)

    app.command(name, help=f"Run one {name} process, for the Procfile. {run.__doc__}")(process)


for _name, _run in PROCESSES.items():
    _add_process(_name, _run)
