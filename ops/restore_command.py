"""`layby restore-fence`: after a restore or a failover, so that nothing is sent a second time."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from config.settings import read_settings
from ops.installation import Installation, open_installation
from ops.screen import Json, UserError, screen
from storage import fence, restored
from storage.restored import Forgotten
from workers.restoring import begin_fencing, fence_sends, lift_fence

Until = Annotated[
    str | None,
    typer.Option(
        help="When the lost database sent last at the latest, in ISO 8601; default: now.",
        show_default=False,
    ),
]


def restore_fence(
    until: Until = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what may have gone out, and change nothing.")
    ] = False,
    nothing_lost: Annotated[
        bool,
        typer.Option(
            "--nothing-lost",
            help="You know that the database has forgotten nothing: let sends start as they are.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Mark what a restored database may have sent already as unknown; none of it is sent again.

    No message is handed over until this has ended. If it is interrupted, run it again.
    """
    moment = _moment(until)
    with open_installation(read_settings()) as installation:
        _refuse_future(installation, moment)
        if nothing_lost:
            begin_fencing(installation.engine, None)
            lift_fence(installation.engine, installation.fence)
            screen.result(json, [], "Sends start again, as they are.")
            return
        by = (
            _now_or(installation, moment) if dry_run else begin_fencing(installation.engine, moment)
        )
        with installation.engine.connect() as connection:
            found = restored.count_forgotten(connection, by)
        if not dry_run:
            fence_sends(installation.engine, installation.fence, by)
    screen.table(json, [_row(one, by) for one in found], none="Nothing may have gone out.")
    if not json:
        screen.say(_told(by, dry_run=dry_run))


def _moment(given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise typer.BadParameter(
            f"--until takes a moment in ISO 8601, such as 2026-11-24T10:00:00Z, not {given}"
        ) from None
    if moment.tzinfo is None:
        raise typer.BadParameter(
            f"--until {given} has no offset, so that it is no moment: add Z for UTC, or +01:00"
        )
    return moment.astimezone(UTC)


def _refuse_future(installation: Installation, moment: datetime | None) -> None:
    if moment is None:
        return
    with installation.engine.connect() as connection:
        if fence.is_future(connection, moment):
            raise UserError(
                f"Cannot fence until {moment.isoformat()}: it has not come yet, and what is due "
                "later can't have gone out. Leave --until out for now."
            )


def _now_or(installation: Installation, moment: datetime | None) -> datetime:
    with installation.engine.connect() as connection:
        return fence.moment_or_now(connection, moment)


def _row(found: Forgotten, by: datetime) -> dict[str, object]:
    return {**found._asdict(), "until": by}


def _told(by: datetime, *, dry_run: bool) -> str:
    if dry_run:
        return (
            f"So much was due by {by.isoformat()} or in progress, and the following steps that "
            "were due by then. Nothing was changed."
        )
    return (
        f"What was due by {by.isoformat()} is unknown now, and is not sent again: see layby "
        "unknown list. Sends start again."
    )
