"""Accounts whose zone or calendar has changed, and how far their customers are planned by it."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from storage.accounts import Account


class Replan(NamedTuple):
    """The customers who come next; nobody: there is none left."""

    after: str
    customers: list[str]
    calendar_data: str | None
    """With which data of zones and holidays the account's plans were made before."""


def accounts_to_replan(connection: Connection) -> list[str]:
    """Accounts that are not wholly planned by their zone and calendar."""
    rows = connection.execute(
        text("SELECT account FROM accounts WHERE replan_after IS NOT NULL ORDER BY account")
    )
    return [row.account for row in rows]


def next_to_replan(connection: Connection, account: str, limit: int) -> Replan | None:
    """The next customers who are active or have no zone yet; None: nothing is to be planned."""
    row = connection.execute(
        text(
            """
            SELECT a.replan_after, ARRAY(
                SELECT c.customer FROM customers c LEFT JOIN slots s USING (account, customer)
                WHERE c.account = a.account AND c.customer > a.replan_after
                  AND (s.slot IS NOT NULL OR (c.derived_zone IS NULL
                                              AND num_nonnulls(c.phone, c.country) > 0))
                ORDER BY c.customer LIMIT :limit), a.calendar_data
            FROM accounts a WHERE a.account = :account AND a.replan_after IS NOT NULL
            """
        ),
        {"account": account, "limit": limit},
    ).one_or_none()
    return Replan(*row) if row else None


def replanned(connection: Connection, account: Account, *, after: str, to: str | None) -> None:
    """Note how far it is, unless the account has changed again; None: it is done."""
    connection.execute(
        text(
            "UPDATE accounts SET replan_after = :to "
            "WHERE account = :account AND zone = :zone AND replan_after = :after "
            "AND holidays IS NOT DISTINCT FROM CAST(:holidays AS jsonb)"
        ),
        {
            "account": account.account,
            "zone": account.zone,
            "holidays": account.kept_holidays,
            "after": after,
            "to": to,
        },
    )


def calendar_data_in_use(connection: Connection) -> list[str | None]:
    """With which data of zones and holidays the accounts' plans were made; None: older ones."""
    rows = connection.execute(text("SELECT DISTINCT calendar_data FROM accounts"))
    return [row.calendar_data for row in rows]


def plan_anew(connection: Connection, made_with: Sequence[str | None]) -> int:
    """Have the accounts whose plans were made with such data planned anew; returns how many."""
    return connection.execute(
        text(
            "UPDATE accounts SET replan_after = '' WHERE replan_after IS NULL "
            "AND (calendar_data = ANY(CAST(:made_with AS text[])) "
            "     OR (calendar_data IS NULL AND :unknown))"
        ),
        {"made_with": [one for one in made_with if one is not None], "unknown": None in made_with},
    ).rowcount


def planned_with(connection: Connection, account: str, calendar_data: str) -> None:
    """Note with which data an account's plans are made, now that all of them are."""
    connection.execute(
        text(
            "UPDATE accounts SET calendar_data = :calendar_data "
            "WHERE account = :account AND replan_after IS NULL"
        ),
        {"account": account, "calendar_data": calendar_data},
    )
