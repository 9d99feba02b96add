"""Where a page ended, as a word that means nothing to whoever passes it on."""

import base64
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from web.problems import ProblemError


def cursor_of(*names: object) -> str:
    """A word for a place among rows that these tell apart."""
    named = json.dumps([str(name) for name in names], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(named).decode().rstrip("=")


def read_cursor(cursor: str, *reads: Callable[[str], Any], called: str = "cursor") -> list[Any]:
    """What a word stands for, each name as it is read; a problem if it was not answered here."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        names = _names(json.loads(base64.b64decode(padded, b"-_", validate=True)))
        return [read(name) for read, name in zip(reads, names, strict=True)]
    except (ValueError, RecursionError):
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"{called}: is not one that was answered here. Take it from the page before as it is, "
            "or leave it out to begin anew.",
            name="invalid-request",
        ) from None


def _names(given: object) -> list[str]:
    if not (isinstance(given, list) and all(map(_is_name, given))):
        raise ValueError("not a list of names")
    return given


def _is_name(given: object) -> bool:
    return isinstance(given, str) and given.isascii() and given.isprintable()


def big_number(name: str) -> int:
    """A whole number as the database keeps them."""
    if abs(int(name)) >= 2**63:
        raise ValueError(name)
    return int(name)
