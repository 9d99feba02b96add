"""What operators look at: customers, one customer's story, queues, and what went wrong."""

from typing import Annotated, Any

import typer

from config.settings import read_settings
from domain.journey import Place
from ops.installation import open_installation
from ops.named import check_there
from ops.screen import Account, Json, Limit, UserError, screen
from storage import reports

unknown_app = typer.Typer(
    help="Sends of which there is no word: list them, and resolve what is found out.",
    no_args_is_help=True,
)


def customers(
    account: Account = None,
    place: Annotated[Place | None, typer.Option(help="Only in this place.")] = None,
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List customers and where they are."""
    with (
        open_installation(read_settings()) as installation,
        installation.engine.connect() as connection,
    ):
        rows = reports.customers(connection, account, place.value if place else None, limit)
        check_there(connection, account, rows)
    screen.table(json, rows, none="There are no such customers.")


def queues(
    account: Account = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Count to the end what is for later, too.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what waits: commands to apply, sends due, later and started."""
    with (
        open_installation(read_settings()) as installation,
        installation.engine.connect() as connection,
    ):
        rows = reports.queues(connection, account, None if exact else reports.LATER_AT_MOST)
        check_there(connection, account, rows)
    shown = rows if json else [_without_more(row) for row in rows]
    screen.table(json, shown, none="Nothing waits.")


def _without_more(row: dict[str, Any]) -> dict[str, Any]:
    more = row.pop("more")
    return {**row, "later": f"{row['later']}+"} if more else row


def failed(account: Account = None, limit: Limit = 100, json: Json = False) -> None:
    """List sends that failed, with the reason."""
    _unresolved("failed", account, limit, as_json=json)


@unknown_app.command("list")
def unknown_list(account: Account = None, limit: Limit = 100, json: Json = False) -> None:
    """List sends that may or may not have been delivered."""
    _unresolved("unknown", account, limit, as_json=json)


@unknown_app.command("resolve")
def unknown_resolve(
    account: Annotated[str, typer.Argument(help="The account, as `unknown list` shows it.")],
    send: Annotated[int, typer.Argument(help="The send's number, as `unknown list` shows it.")],
    state: Annotated[str, typer.Argument(help="What was found out: sent or failed.")],
    note: Annotated[str, typer.Option(help="How you know; no personal data.")] = "",
    json: Json = False,
) -> None:
    """Write down what became of a send after all. It is not sent again."""
    if state not in ("sent", "failed"):
        raise typer.BadParameter("the state is sent or failed")
    with (
        open_installation(read_settings()) as installation,
        installation.engine.begin() as connection,
    ):
        if not reports.resolve_unknown(connection, account, send, state, note):
            raise UserError(
                f"Account {account} has no unknown send {send}. See: layby unknown list"
            )
    screen.result(
        json, {"account": account, "send": send, "state": state}, f"Send {send}: {state}."
    )


def _unresolved(state: str, account: str | None, limit: int, *, as_json: bool) -> None:
    with (
        open_installation(read_settings()) as installation,
        installation.engine.connect() as connection,
    ):
        rows = reports.unresolved(connection, state, account, limit)
        check_there(connection, account, rows)
    none = "No send has failed." if state == "failed" else "There is word of every send."
    screen.table(as_json, rows, none=none)
