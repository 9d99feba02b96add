"""What the door opens onto: the database, the bell, and who waits."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from fastapi import Request

from scheduler.ticks import Watch
from storage.database import Connection, Engine, transact
from web.room import Room
from web.waiting import Waiters
from workers.broker import Bell

T = TypeVar("T")

DATABASE_THREADS = 8
"""Requests of one process that use the database at the same time; the others wait their turn."""

_PATIENCE_SECONDS = 1.0
"""A connection that was lost while idle is made anew without anybody noticing."""


@dataclass(frozen=True)
class Services:
    """What requests work with."""

    engine: Engine
    bell: Bell
    redis_url: str
    key: bytes
    waiters: Waiters
    public: bool = False
    """Whether the door listens on more than the loopback address."""
    answered: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """Requests by method, route and status."""
    room: Room = field(default_factory=Room)
    """For the bodies of requests."""
    watch: Watch = field(default_factory=Watch)
    watch_held: threading.Lock = field(default_factory=threading.Lock)

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, safe to run again, in one transaction; blocks, so never on the loop."""
        return transact(self.engine, work, patience_seconds=_PATIENCE_SECONDS)


def services(request: Request) -> Services:
    """Those of the app that answers this request."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found
