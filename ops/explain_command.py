"""`layby explain`: one customer's story, and what comes, in plain words."""

from datetime import datetime, timedelta
from heapq import nsmallest
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from config.settings import read_settings
from domain.forecast import ASSUMES
from domain.journey import Place
from domain.message import Channel
from domain.suppression import Aim, Suppression, SuppressionKind
from domain.zones import zone_named
from ops.forecast_command import in_words
from ops.installation import open_installation
from ops.named import read_account, the_customer
from ops.screen import Account, Json, screen
from ops.story import on_the_wall, past, why_fallback
from storage import reports, suppressions
from storage.database import reading
from workers.forecasting import Ahead, Wanted, forecast

_FURTHEST = timedelta(days=366)


def explain(
    customer: str,
    account: Account = None,
    coming: Annotated[
        int, typer.Option("--next", "-n", min=0, max=2_000, help="So many of what comes.")
    ] = 10,
    json: Json = False,
) -> None:
    """Tell a customer's story: what happened, by whom, what did not and why, and what comes."""
    with (
        open_installation(read_settings()) as installation,
        reading(installation.engine) as connection,
    ):
        who = the_customer(connection, customer, account)
        known = read_account(connection, who["account"])
        happened = reports.timeline(connection, who["account"], customer)
        against = suppressions.of_customer(connection, who["account"], customer)
        standing = reports.coming(connection, who["account"], customer)
        wanted = Wanted(known.now + _FURTHEST, customer)
        ahead = nsmallest(coming, forecast(connection, known, wanted), key=lambda one: one.order)
    if json:
        screen.json(
            {
                "customer": who,
                "suppressions": against,
                "past": [reports.event_of(row) for row in happened],
                "coming": standing,
                "ahead": [one.as_row() for one in ahead],
                "assumes": ASSUMES,
            }
        )
        return
    zone = zone_named(who["zone"])
    screen.say(_who(who, zone))
    for row in against:
        screen.say("  " + _suppressed(row, zone))
    _tell_past(happened, zone)
    _tell_standing(who, standing, zone)
    _tell_ahead(ahead, zone)


def _who(who: dict[str, Any], zone: ZoneInfo) -> str:
    where = "active" if who["place"] == Place.ACTIVE else f"in the directory ({who['place']})"
    words = [f"Customer {who['customer']} of {who['account']} is {where}"]
    if who["redacted_at"]:
        words.append(f"redacted since {on_the_wall(who['redacted_at'], zone)}")
    if who["status"]:
        words.append(who["status"].replace("_", " "))
    if who["paused_at"]:
        words.append(f"paused since {on_the_wall(who['paused_at'], zone)}")
    reached = [name for name, there in (("email", "has_email"), ("sms", "has_phone")) if who[there]]
    words.append(f"reachable by {' and '.join(reached)}" if reached else "not reachable")
    return f"{', '.join(words)}. Times are in {zone.key}."


def _suppressed(row: dict[str, Any], zone: ZoneInfo) -> str:
    one = Suppression(
        SuppressionKind(row["kind"]), Aim(row["by"]), Channel(row["channel"]), row["schedule"] or ""
    )
    by = f" (command {row['command']}" if row["command"] else ""
    by += f" from {row['source']}" if by and row["source"] else ""
    by += ")" if by else ""
    return f"Not written to: {one.reason}, since {on_the_wall(row['since'], zone)}{by}."


def _tell_past(happened: reports.Rows, zone: ZoneInfo) -> None:
    screen.say("Until now:" if happened else "Nothing has happened.")
    for row in happened:
        screen.say(f"  {on_the_wall(row['business_at'], zone)}  {past(row, zone)}")


def _tell_standing(who: dict[str, Any], standing: reports.Rows, zone: ZoneInfo) -> None:
    if not standing:
        why = "the customer is on no schedule."
        if who["place"] != Place.ACTIVE:
            why = "only active customers get reminders."
        screen.say("Nothing is to come: " + why)
        return
    screen.say("Now:")
    for row in standing:
        screen.say(f"  {_when(row['due_at'], zone)}  {_standing(row, zone)}")


def _standing(row: dict[str, Any], zone: ZoneInfo) -> str:
    run = f" for {row['reference']}" if row["reference"] else ""
    what = f"{row['schedule']} v{row['version']} step {row['step']} of {row['steps']}{run}"
    if row["held"]:
        until = f" until {on_the_wall(row['held_until'], zone)}" if row["held_until"] else ""
        return f"{what}: held: {row['held']}{until}"
    if row["due_at"] is None:
        return f"{what}: in progress"
    again = f", attempt {row['attempts'] + 1}" if row["attempts"] else ""
    if row["paused"]:
        return f"{what}: paused: {row['paused']}"
    if row["fallback"]:
        again += f", its fallback ({why_fallback(row['fallback'])})"
    put_off = f", put off by {row['deferred']}" if row["deferred"] else ""
    return f"{what}: will be due by {row['channel']}{again}{put_off}"


def _tell_ahead(ahead: list[Ahead], zone: ZoneInfo) -> None:
    if not ahead:
        return
    screen.say("To come:")
    for one in ahead:
        run = f" for {one.reference}" if one.reference else ""
        what = f"{one.schedule} v{one.version} step {one.send.cursor + 1} of {one.steps}{run}"
        said = in_words(one)
        screen.say(
            f"  {_when(one.send.at, zone)}  {what} by {one.send.channel.value}, text "
            f"{one.send.template}" + (f": {said}" if said else "")
        )
    screen.say(ASSUMES)


def _when(at: datetime | None, zone: ZoneInfo) -> str:
    return on_the_wall(at, zone) if at is not None else f"{'—':^20}"
