"""Customers from a CSV file: what can be read of it, and each row that can't with its reason.

UTF-8, with or without a byte order mark, or UTF-16 with one ("Unicode text"). What a list must look
like: `domain/customer_list.py`.
"""

import codecs
from dataclasses import dataclass
from pathlib import Path

from domain.customer_list import CustomerListError, Row, profile_of, read_rows
from domain.profile import Profile

_ARCHIVE, _OLD_OFFICE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


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
    customers, rejected = [], []
    try:
        for row in read_rows(read_text(path)):
            if not isinstance(row, Row):
                rejected.append(RejectedRow(*row))
                continue
            profile = profile_of(row.cells)
            if isinstance(profile, Profile):
                customers.append(CustomerRow(row.line, row.customer, profile))
            else:
                rejected.append(RejectedRow(row.line, row.customer, profile))
    except CustomerListError as error:
        raise CustomerFileError(f"{path} can't be read. {error}") from None
    return CustomerFile(tuple(customers), tuple(rejected))


def read_text(path: Path) -> str:
    """The text of a file that could be a CSV; raises CustomerFileError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CustomerFileError(f"Cannot read {path}: {error.strerror}.") from None
    if content.startswith((_ARCHIVE, _OLD_OFFICE)):
        raise CustomerFileError(
            f"{path} is a spreadsheet or an archive, not a CSV. Save it as CSV UTF-8 first."
        )
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError:
            raise CustomerFileError(
                f"{path} is in UTF-16 that ends or breaks off in the middle. Save it as CSV UTF-8."
            ) from None
    if b"\0" in content:
        raise CustomerFileError(f"{path} is a binary file, not a CSV. Export a CSV UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CustomerFileError(
            f"{path} is not in UTF-8: line {line} is the first that isn't. Save it as CSV UTF-8."
        ) from None
