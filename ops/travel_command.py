"""`layby travel`: a test account's clock goes forward, and what is due on the way is decided."""

import json as json_
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import uuid4

import typer
from pydantic import TypeAdapter, ValidationError

from config.machine_time import Deadline
from config.settings import read_settings
from domain.commands import CommandState, read_command
from domain.journey import Kind
from domain.times import Span
from domain.zones import zone_named
from ops.installation import Installation, open_installation
from ops.named import read_account
from ops.screen import Json, Limit, UserError, screen
from ops.waiting import wait_for
from scheduler.ticks import ring
from storage import travels
from storage.accounts import Account
from storage.reports import Rows
from storage.travels import Standing
from workers.sending import accept_all

_POLL_SECONDS = 0.02
_STUCK_SECONDS = 30.0
_ENDS = datetime(2200, 1, 1, tzinfo=UTC)
"""As far as commands have moments."""


def travel(
    account: Annotated[str, typer.Argument(help="A test account.")],
    to: Annotated[
        str | None, typer.Option(help="Until this moment, such as 2026-04-01T08:00Z.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="So far, such as P1D or PT12H.")] = None,
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """Let time pass for a test account, from one due moment to the next: forward only.

    What is due is decided as in a live account, by the processes that run; no message leaves the
    machine.
    """
    if (to is None) == (by is None):
        raise typer.BadParameter(
            "give one of --to, such as 2026-04-01T08:00Z, and --by, such as P1D"
        )
    with open_installation(read_settings()) as installation:
        with installation.engine.connect() as connection:
            known = read_account(connection, account)
            since = travels.machine_now(connection)
        until = destination(known, to, by)
        _pass_time(installation, account, known.now, until)
        with installation.engine.connect() as connection:
            happened = travels.settled_since(connection, account, since)
    if json:
        sends = happened[:limit]
        screen.json({"account": account, "from": known.now, "now": until, "sends": sends})
        return
    _tell(known, until, happened, limit)


def destination(account: Account, to: str | None, by: str | None) -> datetime:
    """Where the clock is to go; raises UserError where it can't."""
    if account.test_now is None:
        raise UserError(
            f"Account {account.account} is live, and its clock can't be set. Make a test account "
            "of its own: test_clock in its first put_account."
        )
    try:
        until = _moment(to) if to is not None else account.now + _span(by or "")
    except OverflowError:
        until = datetime.max.replace(tzinfo=UTC)
    if until >= _ENDS:
        raise UserError(f"{to or by} goes beyond the year {_ENDS.year - 1}. Give a nearer moment.")
    if until < account.now:
        raise UserError(
            f"The test clock of {account.account} is at {account.now:%Y-%m-%d %H:%M} UTC, and "
            "travels forward only. Give a later moment, or make a new test account."
        )
    return until


def _moment(given: str) -> datetime:
    try:
        read = datetime.fromisoformat(given)
    except ValueError:
        raise UserError(f"--to is {given}: write it as in 2026-04-01T08:00Z.") from None
    if read.tzinfo is None:
        raise UserError(f"--to is {given}, with no zone: write it as in {given}Z, for UTC.")
    return read.astimezone(UTC)


def _span(given: str) -> timedelta:
    try:
        span = TypeAdapter[timedelta](Span).validate_python(given)
    except ValidationError:
        raise UserError(f"--by is {given}: write it as in P1D or PT12H.") from None
    if span <= timedelta(0):
        raise UserError(f"--by is {given}, and time goes forward only: write it as in P1D.")
    return span


def _pass_time(installation: Installation, account: str, now: datetime, until: datetime) -> None:
    """Stop wherever something is due: what comes late only because a clock jumped is not real."""
    _until_rest(installation, account, now)
    while now < until:
        with installation.engine.connect() as connection:
            following = travels.next_moment(connection, account, now)
        now = until if following is None else min(following, until)
        _set_clock(installation, account, now)
        _until_rest(installation, account, now)


def _set_clock(installation: Installation, account: str, now: datetime) -> None:
    command = {
        "id": f"travel-{uuid4().hex[:16]}",
        "account": account,
        "kind": Kind.PUT_ACCOUNT,
        "source": "layby travel",
        "test_clock": now.isoformat(),
    }
    read = read_command(json_.dumps(command))
    (accepted,) = accept_all(installation.engine, installation.bell(), [read], "travel")
    (outcome,) = wait_for(
        installation, [(account, accepted.set_aside_as or accepted.command)], "done", _STUCK_SECONDS
    )
    if outcome.state is not CommandState.APPLIED:
        said = "; ".join(line.message for line in outcome.refusals)
        raise UserError(said or f"Command {outcome.id} is {outcome.state.value}.")


def _until_rest(installation: Installation, account: str, now: datetime) -> None:
    """Wait until nothing waits, is due or is in progress; raises UserError where nothing moves."""
    before: Standing | None = None
    bell = installation.bell()
    patience = Deadline.after(_STUCK_SECONDS)
    while True:
        with installation.engine.connect() as connection:
            standing = travels.standing(connection, account)
        if standing.at_rest:
            return
        if standing != before:
            # What a decision makes due at once on another channel waits for no tick.
            ring(installation.engine, bell, account)
            before, patience = standing, Deadline.after(_STUCK_SECONDS)
        if patience.passed:
            raise UserError(
                f"The clock of {account} is at {now:%Y-%m-%d %H:%M} UTC, and nothing moves there "
                f"any more: {standing.commands} commands wait, {standing.due} sends are due, "
                f"{standing.started} are in progress. Do lifecycle, delivery and scheduler run? "
                "Then travel on."
            )
        screen.wait(_POLL_SECONDS)


def _tell(account: Account, until: datetime, happened: Rows, limit: int) -> None:
    for row in happened[:limit]:
        screen.say(_in_words(row))
    if len(happened) > limit:
        screen.say(f"and {len(happened) - limit:,} more: --limit shows them.")
    counts = Counter(row["state"] for row in happened)
    did = ", ".join(f"{number:,} {state}" for state, number in sorted(counts.items()))
    screen.say(
        f"{account.account}: from {account.now:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC; "
        f"{did or 'nothing was due'}."
    )


def _in_words(row: dict[str, Any]) -> str:
    local = row["business_at"].astimezone(zone_named(row["zone"]))
    run = f" {row['reference']}" if row["reference"] else ""
    why = "" if row["state"] == "sent" else f" by {row['rule']}"
    why += f": {row['detail']}" if why and row["detail"] else ""
    return (
        f"{local:%a %Y-%m-%d %H:%M %Z}  {row['customer']}  "
        f"{row['schedule']} v{row['version']}{run} "
        f"step {row['step']} by {row['channel']}: {row['state']}{why}"
    )
