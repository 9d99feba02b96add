"""Accounts whose zone has changed, and how far their customers are planned by the new one."""

from typing import NamedTuple

from sqlalchemy import Connection, text


class Replan(NamedTuple):
    """The customers who come next; nobody: there is none left."""

    after: str
    customers: list[str]


def accounts_to_replan(connection: Connection) -> list[str]:
    """Accounts that are not wholly planned by their zone."""
    rows = connection.execute(
        text("SELECT account FROM accounts WHERE replan_after IS NOT NULL ORDER BY account")
    )
    return [row.account for row in rows]


def next_to_replan(connection: Connection, account: str, limit: int) -> Replan | None:
    """The next active customers without a zone of their own; None: nothing is to be planned."""
    row = connection.execute(
        text(
            """
            SELECT a.replan_after, ARRAY(
                SELECT s.customer FROM slots s JOIN customers c USING (account, customer)
                WHERE s.account = a.account AND s.customer > a.replan_after AND c.zone IS NULL
                ORDER BY s.customer LIMIT :limit)
            FROM accounts a WHERE a.account = :account AND a.replan_after IS NOT NULL
            """
        ),
        {"account": account, "limit": limit},
    ).one_or_none()
    return Replan(*row) if row else None


def replanned(
    connection: Connection, account: str, *, zone: str, after: str, to: str | None
) -> None:
    """Note how far it is, unless the zone has changed again; None: it is done."""
    connection.execute(
        text(
            "UPDATE accounts SET replan_after = :to "
            "WHERE account = :account AND zone = :zone AND replan_after = :after"
        ),
        {"account": account, "zone": zone, "after": after, "to": to},
    )
