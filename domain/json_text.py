"""JSON as it is written: what is lost of it when it is read."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

BOM = b"\xef\xbb\xbf"
"""What Windows puts before a text in UTF-8. It says nothing (RFC 8259, section 8.1)."""


def is_utf8(given: bytes) -> bool:
    """What Windows calls Unicode is UTF-16, and JSON is not."""
    try:
        given.decode()
    except UnicodeDecodeError:
        return False
    return True


def said_twice(given: bytes) -> str | None:
    """A name that an object has twice: a reader takes the last, and another one the first.

    `given` can be read.
    """
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        read = dict(pairs)
        if len(read) < len(pairs):
            times = Counter(name for name, _ in pairs)
            found.extend(name for name in read if times[name] > 1)
        return read

    json.loads(given, object_pairs_hook=look)
    return next(iter(found), None)


def items(text: str) -> Iterator[str]:
    """Each item of a list as it is written; raises ValueError, RecursionError."""
    at = _past_blanks(text, text.index("[") + 1)
    read = json.JSONDecoder().raw_decode
    some = text[at : at + 1] != "]"
    while some:
        _, end = read(text, at)
        yield text[at:end]
        at = _past_blanks(text, end)
        if text[at : at + 1] != ",":
            break
        at = _past_blanks(text, at + 1)
    if text[at : at + 1] != "]" or _past_blanks(text, at + 1) != len(text):
        raise ValueError("no list, or something behind it")


def _past_blanks(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks else at


_BLANKS = re.compile(r"[ \t\n\r]*")
