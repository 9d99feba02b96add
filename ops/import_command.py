"""`layby import`: customers from a CSV file, in as many commands as that takes."""

import csv
import hashlib
import json as json_
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from config.settings import read_settings
from domain.commands import Command, UnreadableCommandError, read_command
from domain.customer_list import (
    REASON,
    CustomerListError,
    lines_of,
    read_rows,
    read_table,
    values_of,
)
from domain.journey import Kind
from ops.customer_file import CustomerFileError, read_text
from ops.installation import Installation, open_installation
from ops.named import the_account
from ops.outcome_words import print_outcomes
from ops.screen import Account, Json, UserError, counted, screen
from ops.waiting import Sent, all_refusals, wait_for
from storage import inbox
from storage.outcomes import Outcome

PART_ROWS = 5_000
"""Rows in one command: as many as one can ask all or none of."""


class Part(NamedTuple):
    """A part of a file, with its header; rows are called as in the whole file."""

    csv: str
    first_row: int


def import_(
    file: Annotated[Path, typer.Argument(help="A CSV in UTF-8; its first line names the columns.")],
    account: Account = None,
    wait: Annotated[bool, typer.Option(help="Wait until all rows are imported or refused.")] = True,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait at most while nothing goes on.", min=0)
    ] = 60.0,
    rejects: Annotated[
        Path | None, typer.Option(help="Write the rows refused here, each with its reason.")
    ] = None,
    all_or_none: Annotated[
        bool, typer.Option("--all-or-none", help="Import all rows, or none if one is refused.")
    ] = False,
    json: Json = False,
) -> None:
    """Import customers into reserve from a CSV; exit status 1 when a row was refused.

    The same file again is the same commands, and answers with what became of it.
    """
    if rejects is not None and not wait:
        raise typer.BadParameter("--rejects needs --wait: it is not known before")
    text, parts = read_parts(file, whole=all_or_none)
    with open_installation(read_settings()) as installation:
        into = the_account(installation.engine, account)
        sent = _send(installation, list(_commands(into, text, parts, all_or_none=all_or_none)))
        results = wait_for(installation, sent, "done" if wait else None, timeout, idle=True)
        if rejects is not None:
            _write_rejects(rejects, text, _reasons(installation, sent))
    _tell(results, json)
    _tell_columns(text)
    if wait and any(one.applied < one.targets or not one.targets for one in results):
        raise typer.Exit(1)


def read_parts(file: Path, *, whole: bool) -> tuple[str, list[Part]]:
    """A file's text, and the parts that it is sent in; raises UserError."""
    try:
        text = read_text(file)
        begins = [row.line for row in read_rows(text)]
    except (CustomerFileError, CustomerListError) as error:
        where = "" if isinstance(error, CustomerFileError) else f"{file} can't be imported. "
        raise UserError(f"{where}{error}") from None
    if not begins:
        raise UserError(f"{file} has a header, and no row.")
    lines = lines_of(text)
    header = "".join(lines[: begins[0] - 1])
    height = begins[0] - 1
    starts = begins[:1] if whole else begins[::PART_ROWS]
    ends = [*starts[1:], len(lines) + 1]
    return text, [
        Part(header + "".join(lines[start - 1 : end - 1]), start - height + 1)
        for start, end in zip(starts, ends, strict=True)
    ]


def _commands(
    account: str, text: str, parts: list[Part], *, all_or_none: bool
) -> Iterator[Command]:
    of_file = hashlib.sha256(text.encode()).hexdigest()[:12]
    for number, part in enumerate(parts, 1):
        command = {
            "id": f"import-{of_file}-{number}" + ("-all" if all_or_none else ""),
            "account": account,
            "kind": Kind.IMPORT_CUSTOMERS,
            "source": "layby import",
            "all_or_none": all_or_none,
            **part._asdict(),
        }
        try:
            yield read_command(json_.dumps(command))
        except UnreadableCommandError as error:
            raise UserError(f"This can't be imported: {error}") from None


def _send(installation: Installation, commands: list[Command]) -> Sent:
    for command in commands:
        with installation.engine.begin() as connection:
            accepted = inbox.accept(connection, command, "import")
        installation.bell().waiting(accepted.account, bulk=True)
    return [(command.account, command.id) for command in commands]


def _reasons(installation: Installation, sent: Sent) -> dict[int | str, str]:
    """Why rows were refused, by the row that the reason begins with, or else by the customer."""
    reasons: dict[int | str, str] = {}
    for account, command in sent:
        for line in all_refusals(installation, account, command):
            row = _AT_ROW.match(line.message)
            reasons[int(row[1]) if row else str(line.customer)] = line.message
    return reasons


_AT_ROW = re.compile(r"Row (\d+): ")


def _write_rejects(file: Path, text: str, reasons: dict[int | str, str]) -> None:
    """Rows as they came, with one more column: corrected, the file can be imported as it is."""
    given = {
        row.line: reasons.get(row.line) or reasons.get(str(row.customer)) for row in read_rows(text)
    }
    rows = read_table(text)
    _, header = next(rows)
    refused = [[*cells, given[line]] for line, cells in rows if given[line] is not None]
    with file.open("w", encoding="utf-8", newline="") as rejects:
        csv.writer(rejects).writerows([[*header, REASON], *refused])
    screen.note(f"{counted(len(refused), 'row')} refused" + (f": see {file}" if refused else ""))


def _tell(results: list[Outcome], as_json: bool) -> None:
    print_outcomes(results, as_json)
    if not as_json and len(results) > 1:
        imported, rows = (sum(getattr(one, of) for one in results) for of in ("applied", "targets"))
        screen.say(f"{imported:,} of {rows:,} customers imported.")


def _tell_columns(text: str) -> None:
    """What a column was taken for that is no detail of a customer: perhaps it was meant as one."""
    _, header = next(read_table(text))
    values = values_of(header)
    if values:
        screen.note(f"Columns taken for values of templates: {', '.join(values)}.")
