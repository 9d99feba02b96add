"""What a rule needs to know of a customer: read under its locks."""

from datetime import datetime
from typing import NamedTuple

from domain.journey import Place


class CustomerState(NamedTuple):
    """A customer as locked; `place` None: there is no such customer."""

    customer: str
    place: Place | None = None
    slot: int | None = None
    paused: bool = False
    kept: bool = False
    silenced_at: datetime | None = None
    zone: str | None = None
    """Its own, or derived."""
    redacted: bool = False
