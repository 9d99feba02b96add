"""The journal: what happened, appended and never changed but by an erasure (storage/erasure.py).

Of a person it holds only the id, and what its commands called a reference or a consent.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text


class Entry(NamedTuple):
    """An event, in the past tense, of one customer or (None) of the account."""

    customer: str | None
    event: str
    data: dict[str, Any]
    seq: int | None


def add(connection: Connection, account: str, entries: Sequence[Entry], now: datetime) -> None:
    """Append entries, in this order."""
    if entries:
        connection.execute(
            text(
                """
                INSERT INTO journal (account, customer, event, data, seq, business_at)
                SELECT :account, customer, event, data, seq, :now
                FROM jsonb_to_recordset(CAST(:entries AS jsonb))
                     AS entry (customer text, event text, data jsonb, seq bigint)
                """
            ),
            {
                "account": account,
                "now": now,
                "entries": json.dumps([entry._asdict() for entry in entries]),
            },
        )
