"""Customers from a CSV: what can be read of it, and each row that can't be with its reason.

Comma, semicolon or tab; the first line names the columns. Columns that are no detail of a customer
become `values` for templates. Reasons and errors name rows, columns and ids, and never what a
person's row says.
"""

import csv
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from domain.commands import Id
from domain.mistakes import in_words
from domain.profile import Profile

DETAILS = ("name", "email", "phone", "country", "zone", "language")
REASON = "refused_because"
"""The column in which rejected rows have their reason: passed over when they are sent again."""

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
# Not splitlines: it would also break lines at characters that are no line ends in a CSV.
_LINES = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_ID: TypeAdapter[str] = TypeAdapter(Id)
_AS_GOOD_AS_THE_SAME = 0.8
_SAID_OTHERWISE = {
    "email": {"mail", "email"},
    "phone": {"phone", "telephone", "tel", "mobile", "cell", "cellphone"},
}
"""Words in the name of a column (`e_mail_address`) that mean the detail, if the list has none."""
_WORDS_OF_THEIR_OWN = ("county", "count")


class CustomerListError(Exception):
    """The list as a whole can't be read; the message says what to do."""


class Row(NamedTuple):
    """One customer as given. `line` is where the row begins; `cells` has what is not empty."""

    line: int
    customer: str
    cells: dict[str, str]


class BadRow(NamedTuple):
    """A row that is nobody's."""

    line: int
    customer: str | None
    reason: str


def read_rows(text: str, first_row: int = 2) -> Iterator[Row | BadRow]:
    """Every row of a list, unread as yet but for its id; raises CustomerListError."""
    rows = read_table(text)
    _, header = next(rows)
    columns = _columns(header)
    on_line: dict[str, int] = {}
    for line, cells in rows:
        row = _row(line + first_row - 2, columns, cells)
        if isinstance(row, Row):
            first = on_line.setdefault(row.customer, row.line)
            if first != row.line:
                row = BadRow(row.line, row.customer, f"the id is already on line {first}")
        yield row


def profile_of(cells: dict[str, str]) -> Profile | str:
    """A row's details, normalised; or the reason why they can't be."""
    details = {name: value for name, value in cells.items() if name in DETAILS}
    values = {name: value for name, value in cells.items() if name not in DETAILS}
    try:
        return Profile.model_validate({**details, "values": values})
    except ValidationError as error:
        return in_words(error)


def lines_of(text: str) -> list[str]:
    """Every line with its end; a row may be several."""
    return _LINES.findall(text.removeprefix("\ufeff"))


def read_table(text: str) -> Iterator[tuple[int, list[str]]]:
    """The header, then each row, with the number of its first line; blank ones are passed over.

    So are the empty cells that a spreadsheet writes behind the header and its columns.
    """
    if not text.strip():
        raise CustomerListError("It is empty. Its first line must name the columns.")
    lines = lines_of(text)
    delimiter, above = _delimiter(lines)
    reader = csv.reader(lines[above:], delimiter=delimiter, strict=True)
    begins, columns = above + 1, 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                stripped = [cell.strip() for cell in cells]
                row = _without_empty_ends([_as_meant(one) for one in stripped], columns)
                yield begins, row
                columns = columns or len(row)
            begins = above + reader.line_num + 1
    except csv.Error as error:
        raise CustomerListError(
            f"It is not a CSV from line {begins} on: {error}. Look for a quote that is not closed "
            "there."
        ) from None


def _delimiter(lines: list[str]) -> tuple[str, int]:
    """What parts the cells, and how many lines are above the header but for blank ones."""
    at, first = next((at, line) for at, line in enumerate(lines) if line.strip())
    if named := _NAMES_DELIMITER.fullmatch(first):
        return named[1], at + 1
    outside_quotes = _QUOTED.sub("", first)
    return max(",;\t", key=outside_quotes.count), 0


# Excel's own line, which it shows to nobody.
_NAMES_DELIMITER = re.compile(r'"?sep=([,;\t|])"?[,;\t|]*\s*', re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def _without_empty_ends(cells: list[str], columns: int) -> list[str]:
    while len(cells) > columns and not cells[-1]:
        del cells[-1]
    return cells


def _as_meant(cell: str) -> str:
    """A cell without what keeps a spreadsheet from reckoning with it: ="01234", '+49…."""
    if not cell.startswith(("=", "'")):
        return cell
    return next((kept[1] for way in _KEPT_AS_TEXT if (kept := way.fullmatch(cell))), cell)


_KEPT_AS_TEXT = (re.compile(r'="([^"]*)"'), re.compile(r"'([=+@0-9-].*)", re.DOTALL))


def _spoilt(cell: str) -> str | None:
    """What a spreadsheet has made of a cell, so that nobody knows what was in it."""
    if _SHORTENED.fullmatch(cell):
        return (
            "is a number that a spreadsheet has shortened, as in 4.9E+11: format the column as "
            "text there, enter it again, and export anew"
        )
    if _MISTAKE.fullmatch(cell):
        return "is a mistake of a spreadsheet's formula, as #N/A is: correct it there"
    return None


_SHORTENED = re.compile(r"-?\d(?:[.,]\d+)?[Ee]\+\d{2,3}")
_MISTAKE = re.compile(r"#(?:N/A|NV|[A-ZÄÖÜ0/]+[!?])")


def _columns(header: list[str]) -> list[str]:
    names = [_column(cell) for cell in header]
    known = ", ".join(DETAILS)
    if "id" not in names:
        some = set(names) & set(DETAILS)
        raise CustomerListError(
            f"It has no {'column id' if some else 'header that Layby knows'}. Its first line must "
            f"name the columns: id, and any of {known}; others become values for templates. "
            "Commas, semicolons or tabs part them."
        )
    for number, name in enumerate(names, 1):
        if name in names[: number - 1]:
            raise CustomerListError(f"It has the column {name} twice. Remove one of them.")
        if not _COLUMN.fullmatch(name):
            raise CustomerListError(
                f"The name of column {number} can't be used in templates: make it at most 50 "
                "letters, digits and underscores, beginning with a letter."
            )
        _refuse_misspelt(number, name, names)
    return names


def values_of(header: list[str]) -> list[str]:
    """The columns of a header that become values for templates."""
    return [name for name in _columns(header) if name not in ("id", *DETAILS, REASON)]


def _refuse_misspelt(number: int, name: str, names: list[str]) -> None:
    # `emial` would be a value for templates, and nobody of the list could be reached by email.
    meant = None if name in DETAILS else _meant_by(name, names)
    if meant is not None:
        raise CustomerListError(
            f"Column {number} looks like {meant}, and is not spelt so. Correct its name; or if it "
            "is a value for templates, give it a name less like that."
        )


def _meant_by(name: str, names: list[str]) -> str | None:
    for detail, words in _SAID_OTHERWISE.items():
        if detail not in names and words & set(name.split("_")):
            return detail
    if not name.isalpha() or name in _WORDS_OF_THEIR_OWN:
        return None
    return next(iter(get_close_matches(name, DETAILS, n=1, cutoff=_AS_GOOD_AS_THE_SAME)), None)


def _column(cell: str) -> str:
    name = re.sub(r"[\s_-]+", "_", cell.strip().lower())
    return _ALSO_CALLED.get(name, name)


def _row(line: int, columns: list[str], cells: list[str]) -> Row | BadRow:
    fields = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
    given = fields.pop("id", "")
    fields.pop(REASON, None)
    if not given:
        return BadRow(line, None, "the id is missing")
    spoilt = {
        name: said
        for name, cell in fields.items()
        if ("+" in cell or "#" in cell) and (said := _spoilt(cell))
    }
    if said := _spoilt(given):
        return BadRow(line, None, f"id: {said}")
    try:
        customer = _ID.validate_python(given)
    except ValidationError:
        return BadRow(line, None, _BAD_ID)
    if len(cells) != len(columns):
        reason = f"has {len(cells)} fields, and the header names {len(columns)}"
        return BadRow(line, customer, reason)
    if spoilt:
        return BadRow(line, customer, "; ".join(f"{name}: {said}" for name, said in spoilt.items()))
    if any("\0" in cell for cell in cells):
        return BadRow(line, customer, "has a NUL character, which the database can't keep")
    return Row(line, customer, fields)
