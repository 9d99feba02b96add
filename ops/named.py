"""The account and the customer that a person means, or what to say instead."""

from collections.abc import Sized
from typing import Any

from ops.screen import UserError
from storage import accounts, reports
from storage.accounts import Account
from storage.database import Connection, Engine

_NAMED = 10


def the_account(engine: Engine, given: str | None) -> str:
    """The account that was given, or the only one."""
    with engine.connect() as connection:
        if given is not None:
            return read_account(connection, given).account
        found = accounts.first_accounts(connection, 2)
        if not found:
            raise UserError("There is no account yet. Create one with put_account.")
        if len(found) > 1:
            raise UserError(
                f"There are several accounts: {_names(connection)}. Give the one that is meant "
                "with --account."
            )
    return found[0]


def read_account(connection: Connection, account: str) -> Account:
    """An account by name."""
    found = accounts.read_account(connection, account)
    if found is None:
        there = _names(connection)
        raise UserError(
            f"There is no account {account}. "
            + (f"There are: {there}. Correct the name, or create it" if there else "Create it")
            + " with put_account first."
        )
    return found


def check_there(connection: Connection, account: str | None, found: Sized) -> None:
    """That nothing was found is told of an account that is there: of no misspelt one.

    Asked only then: what was refused because its account is not there is found under its name.
    """
    if account is not None and not found:
        read_account(connection, account)


def _names(connection: Connection) -> str:
    found = accounts.first_accounts(connection, _NAMED + 1)
    return ", ".join(found[:_NAMED]) + (", …" if len(found) > _NAMED else "")


def the_customer(connection: Connection, customer: str, account: str | None) -> dict[str, Any]:
    """Where a customer is, without personal data; of all accounts that have it, the one given."""
    found = reports.customer(connection, customer, account)
    if not found:
        raise UserError(f"There is no customer {customer}. See: layby customers")
    if len(found) > 1:
        names = ", ".join(row["account"] for row in found)
        raise UserError(f"Several accounts have a customer {customer}: {names}. Give --account.")
    return found[0]
