"""Whether a silence came in after a command: by numbers, where the server's clock was set back.

A command without a time of its own was issued when it came in, so whatever came in before it was
issued before it. By a clock that was set back in between it looks the other way round.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, text

from domain.journey import Kind

_ISSUED = "least(coalesce(c.issued_at, c.received_at), c.received_at)"


def customer_silenced_since(
    connection: Connection,
    account: str,
    customer: str,
    seq: int,
    order_at: datetime,
    kinds: Iterable[Kind],
) -> bool:
    """Whether one of these commands, for a customer, came in and was issued later than this one."""
    found: bool = connection.execute(
        text(
            f"""
            SELECT EXISTS (
                SELECT 1 FROM command_targets t JOIN commands c USING (account, seq)
                WHERE t.account = :account AND t.customer = :customer AND t.seq > :seq
                  AND t.state <> 'waiting' AND c.kind = ANY(CAST(:kinds AS text[]))
                  AND {_ISSUED} > :order_at)
            """
        ),
        {
            "account": account,
            "customer": customer,
            "seq": seq,
            "order_at": order_at,
            "kinds": [kind.value for kind in kinds],
        },
    ).scalar_one()
    return found


def silenced_since(
    connection: Connection, account: str, seq: int, order_at: datetime, kinds: Iterable[Kind]
) -> bool:
    """Whether one of these commands came in and was issued later, for whomever it is.

    An address may be silenced beside any customer, so no more is asked.
    """
    found: bool = connection.execute(
        text(
            f"""
            SELECT EXISTS (
                SELECT 1 FROM commands c
                WHERE c.account = :account AND c.seq > :seq
                  AND c.kind = ANY(CAST(:kinds AS text[])) AND {_ISSUED} > :order_at)
            """
        ),
        {
            "account": account,
            "seq": seq,
            "order_at": order_at,
            "kinds": [kind.value for kind in kinds],
        },
    ).scalar_one()
    return found
