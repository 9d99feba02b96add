"""Facts that upstream systems know: recorded once, never changed."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel
from sqlalchemy import Connection, text


def add(
    connection: Connection,
    account: str,
    customers: Sequence[str],
    kind: str,
    fact: BaseModel,
    seq: int,
    now: datetime,
) -> None:
    """Record the same fact of each of these customers."""
    connection.execute(
        text(
            """
            INSERT INTO facts (account, customer, kind, data, seq, business_at)
            SELECT :account, customer, :kind, CAST(:data AS jsonb), :seq, :now
            FROM unnest(CAST(:customers AS text[])) AS customer
            """
        ),
        {
            "account": account,
            "customers": list(customers),
            "kind": kind,
            "data": fact.model_dump_json(exclude_none=True),
            "seq": seq,
            "now": now,
        },
    )
