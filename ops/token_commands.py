"""`layby token`: who may come in by HTTP, for which account, and until when."""

from datetime import timedelta
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from config.settings import read_settings
from domain.access import INSTALLATION, LONGEST_LIFE, USUAL_LIFE, Role
from domain.commands import AccountId
from ops.installation import open_installation
from ops.screen import Account, Json, UserError, screen
from storage import accounts, tokens
from storage.tokens import Token
from web.bearer import make_token

app = typer.Typer(help="Tokens of the HTTP door.", no_args_is_help=True)

Installation = Annotated[
    bool, typer.Option("--installation", help="Of the whole installation: every account.")
]


@app.command("create")
def create(
    account: Account = None,
    installation: Installation = False,
    role: Annotated[Role, typer.Option(help="What it lets do.")] = Role.OPERATOR,
    days: Annotated[
        int, typer.Option(help="How long it lives.", min=1, max=LONGEST_LIFE.days)
    ] = USUAL_LIFE.days,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    json: Json = False,
) -> None:
    """Make a token. It is shown now and never again."""
    of = _of(account, installation)
    with open_installation(read_settings()) as opened, opened.engine.begin() as connection:
        kept, secret = make_token(
            connection,
            opened.key,
            account=of,
            role=role,
            label=label[:100],
            made_by="command line",
            life=timedelta(days=days),
        )
        is_there = account is None or accounts.read_account(connection, account) is not None
    if not is_there:
        screen.note(f"There is no account {account} yet: is the name right? put_account makes it.")
    if not json:
        screen.note(
            f"A token for {_whose(kept)}, role {kept.role}, until {kept.expires_at:%Y-%m-%d}. "
            "It is kept nowhere: take it now."
        )
    screen.result(json, {**_shown(kept), "secret": secret}, secret)


@app.command("list")
def list_(account: Account = None, json: Json = False) -> None:
    """List tokens, also those that have ended; never their secrets."""
    with open_installation(read_settings()) as opened, opened.engine.connect() as connection:
        rows = tokens.list_tokens(connection, account)
    screen.table(json, [_shown(row) for row in rows], none="There are no tokens.")


@app.command("revoke")
def revoke(
    token: Annotated[str, typer.Argument(help="Its public id, as `token list` shows it.")],
    json: Json = False,
) -> None:
    """End a token, at once and for good."""
    with open_installation(read_settings()) as opened, opened.engine.begin() as connection:
        if not tokens.revoke_token(connection, None, token):
            raise UserError("There is no such token. See: layby token list")
    screen.result(json, {"token": token, "revoked": True}, f"Token {token} is revoked.")


def _of(account: str | None, installation: bool) -> str:
    if installation == (account is not None):
        raise typer.BadParameter("give --account NAME, or --installation for every account")
    if account is None:
        return INSTALLATION
    try:
        return TypeAdapter[str](AccountId).validate_python(account)
    except ValidationError:
        raise typer.BadParameter("an account's name has a-z, 0-9, _ and -, at most 63") from None


def _whose(kept: Token) -> str:
    return "the whole installation" if kept.account == INSTALLATION else f"account {kept.account}"


def _shown(kept: Token) -> dict[str, Any]:
    return {**kept._asdict(), "account": None if kept.account == INSTALLATION else kept.account}
