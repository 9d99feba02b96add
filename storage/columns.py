"""Columns of a batch as parameters: PostgreSQL takes them apart faster than Python builds arrays.

The driver writes an array element by element, about a microsecond each; these are one string.
"""

import json
from collections.abc import Iterable
from datetime import datetime


def numbers(column: Iterable[int]) -> str:
    """For `unnest(CAST(:it AS bigint[]))`."""
    return "{" + ",".join(map(str, column)) + "}"


def moments(column: Iterable[datetime | None]) -> str:
    """For `unnest(CAST(:it AS timestamptz[]))`."""
    said = ("NULL" if at is None else f'"{at.isoformat()}"' for at in column)
    return "{" + ",".join(said) + "}"


def tids(column: Iterable[str]) -> str:
    """For `unnest(CAST(:it AS tid[]))`: where rows are, until they are written to."""
    return "{" + ",".join(f'"{tid}"' for tid in column) + "}"


def texts(column: Iterable[str | None]) -> str:
    """For `json_array_elements_text(CAST(:it AS json))`; whatever is in them."""
    return json.dumps(list(column))
