"""Requests that wait for an outcome, hundreds at once, and the one poller that looks for them all.

A waiter is a future and no thread. While anybody waits, one query tells how far every command is
that somebody waits for; while nobody does, nothing is asked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from enum import StrEnum
from typing import Any, TypeVar

import structlog
from anyio import CapacityLimiter, to_thread

from config.outage import Outage
from storage import outcomes
from storage.database import DatabaseError, Engine, PoolExhaustedError
from storage.outcomes import Name, Outcome, Reached

T = TypeVar("T")
log = structlog.get_logger()

POLL_SECONDS = 0.03
_AWAY_SECONDS = 1.0
"""How long a database that is away is left alone."""

WAITERS_AT_MOST = 5_000


class Until(StrEnum):
    """What a request waits for."""

    DONE = "done"
    """Applied or refused."""
    QUIET = "quiet"
    """The same, and nothing that it silenced is in progress any more."""

    def reached(self, progress: Reached) -> bool:
        return progress.done if self is Until.DONE else not progress.awaits_quiet


class Ended(StrEnum):
    """How a wait ended."""

    REACHED = "reached"
    TIMEOUT = "timeout"
    STOPPING = "stopping"
    """This process is told to stop, or has as many waiters as it takes."""
    GONE = "gone"
    """The client has closed the connection."""


Found = dict[Name, Outcome]


class _Waiter:
    def __init__(self, names: Collection[Name], until: Until) -> None:
        self.names = tuple(names)
        self.until = until
        self.missing = set(names)
        self.answer: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()

    def look_at(self, asked: set[Name], progress: dict[Name, Reached]) -> None:
        """Strike off what has come so far; what is not ours (any more) is not waited for."""
        for name in self.missing & asked:
            if name not in progress or self.until.reached(progress[name]):
                self.missing.discard(name)


class Waiters:
    """All that wait in this process. Lives on one event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._database = Outage("database")
        self._open: set[_Waiter] = set()
        self._poller: asyncio.Task[None] | None = None
        self._closed = False
        self._thread: CapacityLimiter | None = None
        self.queries = 0
        """How often the database was asked."""

    @property
    def count(self) -> int:
        return len(self._open)

    async def wait(
        self, names: Collection[Name], until: Until, seconds: float, gone: Awaitable[None]
    ) -> tuple[Ended, Found | None]:
        """Wait for all of these commands; the outcomes, if they were reached in time."""
        leaving = asyncio.ensure_future(gone)
        if self._closed or len(self._open) >= WAITERS_AT_MOST:
            leaving.cancel()
            return Ended.STOPPING, None
        waiter = _Waiter(names, until)
        self._open.add(waiter)
        self._poller = self._poller or asyncio.create_task(self._poll(), name="poller")
        try:
            either: set[asyncio.Future[Any]] = {waiter.answer, leaving}
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return _ending(waiter, leaving)
        finally:
            self._open.discard(waiter)
            leaving.cancel()

    def close(self) -> None:
        """Send everybody home with what there is so far; nobody waits from here on."""
        self._closed = True
        for waiter in self._open:
            if not waiter.answer.done():
                waiter.answer.set_result(None)

    async def _poll(self) -> None:
        try:
            while self._open:
                pause = POLL_SECONDS
                try:
                    await self._look()
                    self._database.over()
                except (DatabaseError, PoolExhaustedError) as error:
                    self._database.away(type(error).__name__)
                    pause = _AWAY_SECONDS
                await asyncio.sleep(pause)
        finally:
            self._poller = None

    async def _look(self) -> None:
        asked = {name for waiter in self._open for name in waiter.missing}
        progress = await self._read(lambda: self._progress(asked))
        for waiter in self._open:
            waiter.look_at(asked, progress)
        over = [one for one in self._open if not one.missing and not one.answer.done()]
        if not over:
            return
        names = {name for waiter in over for name in waiter.names}
        found = await self._read(lambda: self._outcomes(names))
        for waiter in over:
            if not waiter.answer.done():
                waiter.answer.set_result(
                    {name: found[name] for name in waiter.names if name in found}
                )

    def _progress(self, names: set[Name]) -> dict[Name, Reached]:
        self.queries += 1
        with self._engine.connect() as connection:
            return outcomes.read_reached(connection, names)

    def _outcomes(self, names: set[Name]) -> Found:
        with self._engine.connect() as connection:
            return outcomes.read_outcomes(connection, names)

    async def _read(self, read: Callable[[], T]) -> T:
        # A thread of its own: requests that use the database can't keep it from looking.
        self._thread = self._thread or CapacityLimiter(1)
        return await to_thread.run_sync(read, limiter=self._thread)


def _ending(waiter: _Waiter, leaving: asyncio.Future[None]) -> tuple[Ended, Found | None]:
    if waiter.answer.done():
        found = waiter.answer.result()
        return (Ended.STOPPING if found is None else Ended.REACHED), found
    return (Ended.GONE if leaving.done() else Ended.TIMEOUT), None
