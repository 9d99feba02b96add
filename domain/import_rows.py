"""What becomes of each row of an import: it waits for its turn, or is refused as it stands."""

from itertools import islice
from typing import Any, NamedTuple

from domain.commands import ImportCustomers, refuse_too_many
from domain.customer_list import CustomerListError, Row, profile_of, read_rows
from domain.journey import not_all
from domain.profile import Profile
from domain.refusal import Refusal

BAD_ROW = "bad_row"

MOST_ROWS = 200_000
"""Of one import: while a queue's intake reads it, what came behind it waits."""


class AimedRow(NamedTuple):
    """A target of an import. Without an id of its own it is called by its row: `row 17`."""

    customer: str
    payload: dict[str, Any] | None
    refusal: Refusal | None = None


def aim_rows(command: ImportCustomers) -> list[AimedRow]:
    """Every row of a list; raises CustomerListError where the list is none, or is too long."""
    rows = list(islice(read_rows(command.csv, command.first_row), MOST_ROWS + 1))
    if not rows:
        raise CustomerListError("It has a header, and no row.")
    if len(rows) > MOST_ROWS:
        raise CustomerListError(f"It has more than {MOST_ROWS:,} rows: send it in several parts.")
    if command.all_or_none:
        _refuse_too_many(len(rows))
    bad = sum(not isinstance(row, Row) for row in rows)
    aimed = []
    for row in rows:
        if not isinstance(row, Row):
            aimed.append(AimedRow(f"row {row.line}", None, _bad(row.line, row.reason)))
        elif command.all_or_none and bad:
            refusal = not_all(command.kind, row.customer, bad)
            aimed.append(AimedRow(row.customer, None, at_row(row.line, refusal)))
        else:
            aimed.append(AimedRow(row.customer, {"row": row.line, "cells": row.cells}))
    return aimed


def _refuse_too_many(rows: int) -> None:
    try:
        refuse_too_many(rows)
    except ValueError as error:
        raise CustomerListError(f"{error}.".capitalize()) from None


def read_row(payload: dict[str, Any]) -> Profile | Refusal:
    """The profile that a waiting row brings, or why it can't be taken."""
    profile = profile_of(payload["cells"])
    return profile if isinstance(profile, Profile) else _bad(payload["row"], profile)


def _bad(line: int, reason: str) -> Refusal:
    return at_row(line, Refusal(BAD_ROW, f"{reason}. Correct it and import it again."))


def at_row(line: int, refusal: Refusal) -> Refusal:
    """A refusal that says which row it is of."""
    return refusal._replace(message=f"Row {line}: {refusal.message}")
