"""Customers from a CSV file: what can be read of it, and each row that can't with its reason.

UTF-8, with or without a byte order mark; comma or semicolon; the first line names the columns.
Columns that Layby doesn't know become the customer's `values`. Reasons and errors name lines,
columns and ids, and never what a person's row says.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from domain.commands import Id, in_words
from domain.profile import Profile

_DETAILS = ("name", "email", "phone", "country", "zone", "language")
_ALSO_CALLED = {
    "customer": "id",
    "customer_id": "id",
    "e_mail": "email",
    "telephone": "phone",
    "time_zone": "zone",
    "timezone": "zone",
}
_BAD_ID = "id: must begin with a letter or digit and go on with those or any of _.:@+/=-"
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,49}")
_ARCHIVE, _OLD_OFFICE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_ID: TypeAdapter[str] = TypeAdapter(Id)


class CustomerFileError(Exception):
    """The file as a whole can't be read; the message says what to do."""


@dataclass(frozen=True)
class CustomerRow:
    line: int
    customer: str
    profile: Profile


@dataclass(frozen=True)
class RejectedRow:
    line: int
    customer: str | None
    reason: str


@dataclass(frozen=True)
class CustomerFile:
    """Every row of a file is in one of the two."""

    customers: tuple[CustomerRow, ...]
    rejected: tuple[RejectedRow, ...]


def read_customer_file(path: Path) -> CustomerFile:
    """Read a whole file; raises CustomerFileError."""
    # Not splitlines: it would also break lines at characters that are no line ends in a CSV.
    columns, rows = _table(path, list(StringIO(_text(path), newline="")))
    customers: dict[str, CustomerRow] = {}
    rejected = []
    for line, cells in rows:
        row = _row(line, columns, cells)
        if isinstance(row, CustomerRow) and row.customer in customers:
            first = customers[row.customer].line
            row = RejectedRow(line, row.customer, f"the id is already on line {first}")
        if isinstance(row, CustomerRow):
            customers[row.customer] = row
        else:
            rejected.append(row)
    return CustomerFile(tuple(customers.values()), tuple(rejected))


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CustomerFileError(f"Cannot read {path}: {error.strerror}.") from None
    if content.startswith((_ARCHIVE, _OLD_OFFICE)):
        raise CustomerFileError(
            f"{path} is a spreadsheet or an archive, not a CSV. Save it as CSV UTF-8 first."
        )
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CustomerFileError(f"{path} is in UTF-16. Save it as CSV UTF-8 first.")
    if b"\0" in content:
        raise CustomerFileError(f"{path} is a binary file, not a CSV. Export a CSV UTF-8.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CustomerFileError(
            f"{path} is not in UTF-8: line {line} is the first that isn't. Save it as CSV UTF-8."
        ) from None
    if not text.strip():
        raise CustomerFileError(f"{path} is empty. Its first line must name the columns.")
    return text


def _table(path: Path, lines: list[str]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The columns' names, and each row with the number of its first line."""
    first = next(line for line in lines if line.strip())
    delimiter = ";" if first.count(";") > first.count(",") else ","
    rows = list(_rows(path, lines, delimiter))
    return _columns(path, rows[0][1]), rows[1:]


def _rows(path: Path, lines: list[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield begins, [cell.strip() for cell in cells]
            begins = reader.line_num + 1
    except csv.Error as error:
        raise CustomerFileError(
            f"{path} is not a CSV from line {begins} on: {error}. Look for a quote that is not "
            "closed there."
        ) from None


def _columns(path: Path, header: list[str]) -> list[str]:
    names = [_column(cell) for cell in header]
    if "id" not in names:
        known = set(names) & set(_DETAILS)
        fault = "has no column id" if known else "has no header that Layby knows"
        raise CustomerFileError(
            f"{path} {fault}. Its first line must name the columns: id, and any of "
            f"{', '.join(_DETAILS)}; others become values for templates."
        )
    for number, name in enumerate(names, 1):
        if name in names[: number - 1]:
            raise CustomerFileError(f"{path} has the column {name} twice. Remove one of them.")
        if not _COLUMN.fullmatch(name):
            raise CustomerFileError(
                f"The name of column {number} of {path} can't be used in templates: make it at "
                "most 50 letters, digits and underscores, beginning with a letter."
            )
    return names


def _column(cell: str) -> str:
    name = re.sub(r"[\s_-]+", "_", cell.strip().lower())
    return _ALSO_CALLED.get(name, name)


def _row(line: int, columns: list[str], cells: list[str]) -> CustomerRow | RejectedRow:
    fields = dict(zip(columns, cells, strict=False))
    given, customer = fields.pop("id", ""), None
    try:
        if not given:
            return RejectedRow(line, None, "the id is missing")
        customer = _ID.validate_python(given)
        if len(cells) != len(columns):
            reason = f"has {len(cells)} fields, and the header names {len(columns)}"
            return RejectedRow(line, customer, reason)
        return CustomerRow(line, customer, _profile(fields))
    except ValidationError as error:
        return RejectedRow(line, customer, _reason(error))


def _profile(fields: dict[str, str]) -> Profile:
    given = {name: value for name, value in fields.items() if value}
    details = {name: given.pop(name) for name in _DETAILS if name in given}
    return Profile.model_validate({**details, "values": given})


def _reason(error: ValidationError) -> str:
    problem = error.errors(include_input=False, include_url=False)[0]
    return _BAD_ID if not problem["loc"] else in_words(error)
