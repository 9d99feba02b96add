"""Whether sends may start here: not on a database that has forgotten what went out.

Restored from a backup, or failed over to a standby that was behind, it holds as pending what was
sent since. It is told by its server, its timeline and its database (`layby_server()`), and by an
epoch that only grows, which processes and Redis remember: a copy of the files has the same server.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

UNREADABLE = "unreadable"
"""The `here` of a server that does not tell which one it is."""

_LATER = 1_000_000_000
"""Further than numbers and epochs get between a backup and the restore."""


class Fence(NamedTuple):
    """What a database says of itself. Sends may start on `server`; we are connected to `here`."""

    id: UUID
    server: str
    here: str
    epoch: int
    held: str | None
    until: datetime | None


def read_fence(connection: Connection) -> Fence:
    """The fence; the first that asks makes this server the one that sends may start on."""
    connection.execute(
        text(
            "UPDATE upkeep SET id = coalesce(id, gen_random_uuid()), "
            "server = coalesce(server, layby_server()) WHERE id IS NULL OR server IS NULL"
        )
    )
    return Fence(
        *connection.execute(
            text("SELECT id, server, layby_server(), epoch, held, fence_until FROM upkeep")
        ).one()
    )


def hold(connection: Connection, reason: str) -> None:
    """Let no send start, from this commit on, until the fence is lifted.

    And give no number a second time that was given after the backup: messages are recognised by it.
    """
    held = connection.execute(
        text("UPDATE upkeep SET held = :reason WHERE held IS NULL RETURNING 1"),
        {"reason": reason},
    )
    if held.first() is not None:
        connection.execute(text(_SKIP_NUMBERS), {"later": _LATER})


_SKIP_NUMBERS = """
    SELECT setval(sequence, coalesce(pg_sequence_last_value(sequence), 0) + :later)
    FROM (SELECT CAST(pg_get_serial_sequence(CAST(CAST(attrelid AS regclass) AS text), attname)
                      AS regclass) AS sequence
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
          WHERE attidentity <> '' AND relkind IN ('r', 'p') AND NOT relispartition
            AND relnamespace = CAST(current_schema() AS regnamespace)) AS numbered
"""


def beat(connection: Connection, seen: int) -> int | None:
    """Begin the next epoch; None: this database is behind, or held, and must stay so."""
    epoch: int | None = connection.execute(
        text(
            "UPDATE upkeep SET epoch = epoch + 1 "
            "WHERE held IS NULL AND epoch >= :seen AND server = layby_server() RETURNING epoch"
        ),
        {"seen": seen},
    ).scalar_one_or_none()
    return epoch


def begin(connection: Connection, until: datetime | None) -> datetime:
    """Begin fencing, or go on with it; returns the moment by which a send may have gone out."""
    hold(connection, "layby restore-fence is under way")
    moment: datetime = connection.execute(
        text(
            "UPDATE upkeep SET fence_until = "
            "coalesce(CAST(:until AS timestamptz), fence_until, clock_timestamp()) "
            "RETURNING fence_until"
        ),
        {"until": until},
    ).scalar_one()
    return moment


def moment_or_now(connection: Connection, until: datetime | None) -> datetime:
    """What `begin` would return; nothing is begun."""
    moment: datetime = connection.execute(
        text(
            "SELECT coalesce(CAST(:until AS timestamptz), fence_until, clock_timestamp()) "
            "FROM upkeep"
        ),
        {"until": until},
    ).scalar_one()
    return moment


def is_future(connection: Connection, moment: datetime) -> bool:
    """By the database's clock."""
    found: bool = connection.execute(
        text("SELECT CAST(:moment AS timestamptz) > clock_timestamp()"), {"moment": moment}
    ).scalar_one()
    return found


def lift(connection: Connection, seen: int) -> int:
    """Let sends start here; returns the new epoch, beyond all that any process has seen."""
    epoch: int = connection.execute(
        text(
            "UPDATE upkeep SET held = NULL, fence_until = NULL, server = layby_server(), "
            "id = coalesce(id, gen_random_uuid()), "
            "epoch = (greatest(epoch, :seen) / :later + 1) * :later RETURNING epoch"
        ),
        {"seen": seen, "later": _LATER},
    ).scalar_one()
    return epoch
