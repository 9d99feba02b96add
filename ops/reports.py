"""What operators look at: customers, one customer's story, queues, and what went wrong."""

from datetime import datetime
from typing import Annotated, Any

import typer

from config.settings import read_settings
from domain.journey import Place
from domain.message import Channel
from domain.suppression import Aim, Suppression, SuppressionKind
from ops.fact_words import in_words
from ops.installation import open_installation
from ops.named import the_customer
from ops.screen import Account, Json, Limit, UserError, screen
from storage import reports, suppressions

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
    screen.table(json, rows, none="There are no such customers.")


def queues(account: Account = None, json: Json = False) -> None:
    """Show what waits: commands to apply, sends due, later and started."""
    with (
        open_installation(read_settings()) as installation,
        installation.engine.connect() as connection,
    ):
        rows = reports.queues(connection, account)
    screen.table(json, rows, none="Nothing waits.")


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
    none = "No send has failed." if state == "failed" else "There is word of every send."
    screen.table(as_json, rows, none=none)


def explain(customer: str, account: Account = None, json: Json = False) -> None:
    """Tell a customer's story: what happened, by whom, what did not and why, and what comes."""
    with (
        open_installation(read_settings()) as installation,
        installation.engine.connect() as connection,
    ):
        who = the_customer(connection, customer, account)
        past = reports.timeline(connection, who["account"], customer)
        coming = reports.coming(connection, who["account"], customer)
        against = suppressions.of_customer(connection, who["account"], customer)
    if json:
        story = {"customer": who, "suppressions": against, "past": past, "coming": coming}
        screen.json(story)
        return
    screen.say(_who(who))
    for row in against:
        screen.say("  " + _suppressed(row))
    for row in past:
        screen.say(f"  {_when(row['business_at'])}  {_past(row)}")
    for row in coming:
        screen.say(f"  {_when(row['due_at'])}  {_coming(row)}")
    if not coming:
        screen.say("  Nothing is to come: " + _why_nothing(who))


def _who(who: dict[str, Any]) -> str:
    where = "active" if who["place"] == Place.ACTIVE else f"in the directory ({who['place']})"
    words = [f"Customer {who['customer']} of {who['account']} is {where}"]
    if who["status"]:
        words.append(who["status"].replace("_", " "))
    if who["paused_at"]:
        words.append(f"paused since {_when(who['paused_at'])}")
    words.append(f"zone {who['zone']}")
    return ", ".join(words) + "."


def _suppressed(row: dict[str, Any]) -> str:
    one = Suppression(
        SuppressionKind(row["kind"]), Aim(row["by"]), Channel(row["channel"]), row["schedule"] or ""
    )
    by = f" (command {row['command']}" if row["command"] else ""
    by += f" from {row['source']}" if by and row["source"] else ""
    by += ")" if by else ""
    return f"Not written to: {one.reason}, since {_when(row['since'])}{by}."


def _past(row: dict[str, Any]) -> str:
    event, data = str(row["event"]), row["data"]
    if event.startswith("send_"):
        return _send(event.removeprefix("send_"), data)
    by = f" (command {row['command']}" if row["command"] else ""
    by += f" from {row['source']}" if by and row["source"] else ""
    by += f": {row['reason']}" if by and row["reason"] else ""
    by += ")" if by else ""
    if (said := in_words(event, data)) is not None:
        return said + by
    details = ", ".join(f"{key} {value}" for key, value in data.items())
    return event.replace("_", " ") + (f": {details}" if details else "") + by


def _send(state: str, data: dict[str, Any]) -> str:
    what = f"{data['schedule']} v{data['version']} step {data['step']} by {data['channel']}"
    if state == "started":
        return f"{what}: started, no word yet"
    if state == "deferred":
        often = f", {data['times']} times since" if data["times"] > 1 else ""
        until = _when(datetime.fromisoformat(data["until"]))
        return f"{what}: put off until {until} by {data['rule']}{often}"
    why = f" ({data['rule']}{': ' + data['detail'] if data['detail'] else ''})"
    text = f", template {data['template']} v{data['template_version']}" if data["template"] else ""
    return f"{what}: {state}{why}{text}"


def _coming(row: dict[str, Any]) -> str:
    run = f" for {row['reference']}" if row["reference"] else ""
    what = f"{row['schedule']} v{row['version']} step {row['step']} of {row['steps']}{run}"
    if row["held"]:
        until = f" until {_when(row['held_until'])}" if row["held_until"] else ""
        return f"{what}: held: {row['held']}{until}"
    if row["due_at"] is None:
        return f"{what}: in progress"
    again = f", attempt {row['attempts'] + 1}" if row["attempts"] else ""
    if row["paused"]:
        return f"{what}: paused: {row['paused']}"
    if row["fallback"]:
        again += f", its fallback ({row['fallback']})"
    put_off = f", put off by {row['deferred']}" if row["deferred"] else ""
    return f"{what}: will be due by {row['channel']}{again}{put_off}"


def _why_nothing(who: dict[str, Any]) -> str:
    if who["place"] != Place.ACTIVE:
        return "only active customers get reminders."
    return "the customer is on no schedule."


def _when(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else "       —        "
