"""Started sends that no worker answers for: watched, and held to be settled in its stead.

Nothing here waits. Who holds a slot may be frozen, and a rescue that waited for it would keep the
sends of all others waiting, and with the slots that it has already every move of those customers.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from storage import settles
from storage.columns import numbers
from storage.settles import Flight


class Open(NamedTuple):
    """A started send, as the rescue watches it."""

    account: str
    send: int
    token: UUID
    lease_seconds: int
    slot: int


OPEN = "account, send, token, lease_seconds, slot"


def open_starts(connection: Connection) -> list[Open]:
    """All that is started now."""
    return [Open(*row) for row in connection.execute(text(f"SELECT {OPEN} FROM started"))]


def lock_free_slots(connection: Connection, account: str, slots: Sequence[int]) -> list[int]:
    """Hold those of these slots that nobody holds against it, as a settle does; returns them."""
    rows = connection.execute(
        text(
            "SELECT slot FROM slots WHERE account = :account "
            "AND slot = ANY(CAST(:slots AS bigint[])) ORDER BY slot FOR KEY SHARE SKIP LOCKED"
        ),
        {"account": account, "slots": numbers(slots)},
    )
    return [row.slot for row in rows]


def hold_free(
    connection: Connection, account: str, open_: Sequence[Open], slots: Sequence[int]
) -> list[Flight]:
    """Hold those of these sends that nobody else settles now; as they are, which they stay.

    `slots` are held since an earlier statement. What started under another one is left, unless that
    one is gone: then no silence is to come that it could miss.
    """
    found = settles.flights(
        connection,
        account,
        "s.send = ANY(CAST(:sends AS bigint[])) "
        "AND (s.slot = ANY(CAST(:slots AS bigint[])) OR NOT EXISTS "
        "     (SELECT 1 FROM slots l WHERE l.account = :account AND l.slot = s.slot)) "
        "FOR UPDATE OF s SKIP LOCKED",
        sends=numbers(one.send for one in open_),
        slots=numbers(slots),
    )
    tokens = {one.send: one.token for one in open_}
    return [one for one in found if one.token == tokens[one.send]]
