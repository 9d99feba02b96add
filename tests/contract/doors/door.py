"""What a door is to this suite: something that takes the bytes of one command."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from storage.database import Engine


@dataclass(frozen=True)
class Ground:
    """What doors open on to."""

    engine: Engine
    database_url: str
    redis_url: str
    folder: Path


class Door(Protocol):
    """One way in."""

    name: str

    def __init__(self, ground: Ground) -> None: ...

    def submit(self, raw: bytes) -> None:
        """Bring one command; raises RefusedAtTheDoorError where the door itself says no."""

    def submit_all(self, raws: Sequence[bytes]) -> None:
        """Bring several at once, in this order, each of which it can read."""

    def close(self) -> None:
        """Give back what it has open."""


class RefusedAtTheDoorError(Exception):
    """Nothing was taken; the message is what the sender was told."""
