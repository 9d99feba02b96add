"""`layby pause`, `resume` and `switches`: the kill switch."""

import getpass
import socket
from datetime import timedelta
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from config.machine_time import Deadline
from config.settings import read_settings
from domain.switch import CommandQueue, Scope, Switch, SwitchError, switch_named
from ops.installation import open_installation
from ops.named import check_there
from ops.screen import Account, Json, UserError, screen
from workers import switches
from workers.switches import PauseResult, ResumeResult

_POLL_SECONDS = 0.05

What = Annotated[Scope, typer.Argument(help="What kind of thing.")]
Name = Annotated[str, typer.Argument(help="Its name: lifecycle, bulk, email, sms, or your own.")]
Of = Annotated[
    str | None,
    typer.Option("--account", "-a", help="Whose channel or template.", show_default=False),
]
Reason = Annotated[str, typer.Option(help="Why, for the journal; no personal data.")]


def pause(
    scope: What,
    name: Name,
    account: Of = None,
    reason: Reason = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until nothing of it is in progress.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)] = 60.0,
    json: Json = False,
) -> None:
    """Pause a queue, channel, template or account: nothing of it starts from here on."""
    with open_installation(read_settings()) as installation:
        try:
            switch = switch_named(scope, name, account)
            result = switches.pause(installation.engine, switch, reason=reason, source=_whoever())
        except SwitchError as error:
            raise UserError(str(error)) from None
        in_progress = result.in_progress
        if wait:
            in_progress = switches.wait_until_settled(
                installation.engine, switch, _patience(timeout)
            )
    result = result._replace(in_progress=in_progress)
    screen.result(json, {**as_data(result), "warning": _warning(switch)}, _paused(switch, result))
    if wait and in_progress:
        raise UserError(
            f"{switch.in_words} is paused. Sends still in progress after {timeout:g} seconds: "
            f"{in_progress}. Each settles, or is rescued by a scheduler once its lease ends."
        )


def _patience(timeout: float) -> Any:
    deadline = Deadline.after(timeout)

    def wait() -> bool:
        screen.wait(_POLL_SECONDS)
        return not deadline.passed

    return wait


def _whoever() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return socket.gethostname()


def as_data(result: PauseResult) -> dict[str, Any]:
    """For programs."""
    return {**_row(result.since), "fresh": result.fresh, "in_progress": result.in_progress}


def _row(since: Any) -> dict[str, Any]:
    shown = ("scope", "name", "account", "paused_at", "reason", "source")
    return {name: getattr(since, name) for name in shown}


def _paused(switch: Switch, result: PauseResult) -> str:
    since = f"{result.since.paused_at:%Y-%m-%d %H:%M:%S %Z}"
    words = [
        f"Paused {switch.in_words}."
        if result.fresh
        else f"{switch.in_words} is paused already, since {since}, by {result.since.source}."
    ]
    if result.in_progress:
        words.append(f"Sends that had started and are in progress: {result.in_progress}.")
    if warning := _warning(switch):
        words.append(warning)
    return " ".join(words)


def _warning(switch: Switch) -> str | None:
    if switch.scope is not Scope.QUEUE:
        return None
    also = ", and set-up" if switch.name == CommandQueue.LIFECYCLE else ""
    return (
        f"Moves will wait: every command of this queue does{also}, and none is quiet before it is "
        "resumed. Meanwhile nothing is sent to a customer for whom a command waits."
    )


def resume(
    scope: What,
    name: Name,
    account: Of = None,
    over: Annotated[
        str, typer.Option(help="Over what time to spread what is overdue (ISO 8601).")
    ] = "PT10M",
    reason: Reason = "",
    json: Json = False,
) -> None:
    """Resume what was paused; what is overdue goes out over a while, not at once."""
    spread_over = _span(over)
    with open_installation(read_settings()) as installation:
        try:
            switch = switch_named(scope, name, account)
            result = switches.resume(
                installation.engine, switch, over=spread_over, reason=reason, source=_whoever()
            )
        except SwitchError as error:
            raise UserError(str(error)) from None
    data = {**_row(result.was), "spread": result.spread, "over": over}
    screen.result(json, data, _resumed(switch, result, spread_over))


def _span(given: str) -> timedelta:
    try:
        span = TypeAdapter(timedelta).validate_python(given)
    except ValidationError:
        span = timedelta(-1)
    if not timedelta(0) <= span <= timedelta(days=7):
        raise typer.BadParameter(f"--over takes PT0S to P7D, as in PT10M; not {given}")
    return span


def _resumed(switch: Switch, result: ResumeResult, over: timedelta) -> str:
    told = f"Resumed {switch.in_words}, paused since {result.was.paused_at:%Y-%m-%d %H:%M:%S %Z}."
    if result.spread:
        told += f" {result.spread} overdue sends come due over {over}, in their order."
    return told


def list_switches(account: Account = None, json: Json = False) -> None:
    """List what is paused, since when, by whom and why."""
    with open_installation(read_settings()) as installation:
        rows = [_row(since) for since in switches.paused(installation.engine, account)]
        with installation.engine.connect() as connection:
            check_there(connection, account, rows)
    screen.table(json, rows, none="Nothing is paused.")
