"""Ids in paths. An id may hold a slash, which comes as %2F and is kept so until here."""

import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Path
from pydantic import BeforeValidator

from domain.commands import Id

_SLASH = re.compile("%2F", re.IGNORECASE)


def keep_slashes(scope: Mapping[str, Any]) -> str:
    """The path, decoded but for the slashes that are part of an id."""
    raw = scope.get("raw_path") or scope["path"].encode()
    segments = raw.decode("ascii", "replace").split("/")
    return "/".join("%2F".join(map(unquote, _SLASH.split(segment))) for segment in segments)


def _with_slashes(given: object) -> object:
    return _SLASH.sub("/", given) if isinstance(given, str) else given


CommandName = Annotated[
    Id, BeforeValidator(_with_slashes), Path(description="The command's id, / as %2F.")
]
CustomerName = Annotated[
    Id, BeforeValidator(_with_slashes), Path(description="The customer's id, / as %2F.")
]
