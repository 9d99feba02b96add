"""`layby forecast`: what would go out, when, and what would block it."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from heapq import nsmallest
from typing import Annotated, Any

import typer

from config.settings import read_settings
from domain.forecast import ASSUMES, Outlook
from ops.columns import aligned
from ops.installation import Installation, open_installation
from ops.named import read_account, the_account, the_customer
from ops.screen import Account, Json, Limit, UserError, screen
from ops.story import why_fallback
from storage import accounts, definitions
from storage.database import Connection, reading
from workers.forecasting import Ahead, Wanted, forecast

Days = Annotated[int, typer.Option("--days", min=1, max=366, help="How far to look ahead.")]


def forecast_(
    customer: Annotated[str | None, typer.Argument(help="Only this customer.")] = None,
    account: Account = None,
    schedule: Annotated[str | None, typer.Option(help="Only this schedule.")] = None,
    days: Days = 30,
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """Tell what would go out, when, by which channel and text, and what would block it.

    Of nothing that could still happen: payments and replies are not foreseen.
    """
    with open_installation(read_settings()) as installation:
        named = _account(installation, customer, account)
        with reading(installation.engine) as connection:
            known = read_account(connection, named)
            _check_schedule(connection, named, schedule)
            wanted = Wanted(known.now + timedelta(days=days), customer, schedule)
            counts: Counter[Outlook] = Counter()
            found = forecast(connection, known, wanted)
            first = nsmallest(limit, _counted(found, counts), key=lambda one: one.order)
    if json:
        screen.json(_as_json(known, wanted, counts, first))
        return
    for line in aligned([(in_a_row(one), in_words(one)) for one in first]):
        screen.say(line)
    _sum_up(wanted.until, counts, len(first))


def _account(installation: Installation, customer: str | None, account: str | None) -> str:
    if customer is None:
        return the_account(installation.engine, account)
    with reading(installation.engine) as connection:
        return str(the_customer(connection, customer, account)["account"])


def _check_schedule(connection: Connection, account: str, schedule: str | None) -> None:
    if schedule is not None and definitions.newest_schedule(connection, account, schedule) is None:
        raise UserError(
            f"Account {account} has no schedule {schedule}. See: layby schedule list --account "
            f"{account}"
        )


def _counted(found: Iterator[Ahead], counts: Counter[Outlook]) -> Iterator[Ahead]:
    for one in found:
        counts[one.send.outlook] += 1
        yield one


def _as_json(
    account: accounts.Account, wanted: Wanted, counts: Counter[Outlook], first: list[Ahead]
) -> dict[str, Any]:
    return {
        "account": account.account,
        "now": account.now,
        "until": wanted.until,
        "assumes": ASSUMES,
        "counts": {outlook.value: counts[outlook] for outlook in Outlook},
        "sends": [one.as_row() for one in first],
    }


def in_a_row(one: Ahead) -> dict[str, Any]:
    """A coming send as a person reads it in a table."""
    send = one.send
    run = f" {one.reference}" if one.reference else ""
    return {
        "local time": local_time(send.at, one),
        "UTC": f"{send.at:%Y-%m-%d %H:%M}" if send.at is not None else None,
        "customer": one.customer,
        "schedule": f"{one.schedule} v{one.version}{run}",
        "step": f"{send.cursor + 1}/{one.steps}",
        "by": send.channel.value,
        "text": send.template,
    }


def local_time(at: datetime | None, one: Ahead) -> str | None:
    """`Mon 2026-03-30 09:30`, on the customer's wall."""
    return f"{at.astimezone(one.zone):%a %Y-%m-%d %H:%M}" if at is not None else None


def in_words(one: Ahead) -> str:
    """What becomes of a coming send, and why; nothing is said of what is sent when planned."""
    send = one.send
    because = f" by {send.rule}" if send.rule else ""
    because += f": {send.reason}" if send.reason else ""
    said = {
        Outlook.SENT: "",
        Outlook.SKIPPED: f"skipped{because}",
        Outlook.PUT_OFF: f"put off{because}, nobody knows until when"
        if send.at is None
        else f"put off{because}",
        Outlook.IN_PROGRESS: "in progress",
        Outlook.HELD: f"held: {send.rule}"
        + (", until then if it is not paid" if send.at is not None else ""),
    }[send.outlook]
    words = [said] if said else []
    if send.fallback is not None:
        words.append(f"by its fallback ({why_fallback(send.fallback)})")
    if send.put_off and send.outlook is not Outlook.PUT_OFF:
        rules = ", ".join(dict.fromkeys(put_off.rule for put_off in send.put_off))
        words.append(f"put off from {local_time(send.put_off[0].since, one)} by {rules}")
    return ", ".join(words)


def _sum_up(until: datetime, counts: Counter[Outlook], shown: int) -> None:
    if not counts:
        screen.say(f"Nothing is to come until {until:%Y-%m-%d %H:%M} UTC.")
        return
    said = ", ".join(
        f"{counts[outlook]:,} {outlook.value.replace('_', ' ')}"
        for outlook in Outlook
        if counts[outlook]
    )
    screen.say(f"Until {until:%Y-%m-%d %H:%M} UTC: {said}.")
    if counts.total() > shown:
        screen.say(f"The first {shown:,} are shown: --limit shows more.")
    screen.say(ASSUMES)
