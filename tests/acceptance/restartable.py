"""A private PostgreSQL that tests can stop and start again: the same data, the same socket."""

import os
import signal
from pathlib import Path
from types import TracebackType
from typing import Self

from patience import until

from ops.servers.child import Child
from ops.servers.home import open_home
from ops.servers.lock import take
from ops.servers.postgres import Postgres

FAST = signal.SIGINT
"""Sessions are ended, then everything is written down."""
IMMEDIATE = signal.SIGQUIT
"""As in a crash: the next start recovers from the log."""


class RestartablePostgres:
    """Started as the launcher does it, durable; ended with the tests, however they end."""

    def __init__(self, folder: Path, source: str) -> None:
        home = open_home(folder)
        home.claim(home.sockets)
        self._server = Postgres(home, durable=True)
        lock = take(folder / "postgres.lock")
        assert lock is not None, "the folder is this test's own"
        self._lock = lock
        self._binary = self._server.find(source)
        self._child = self._start()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def data(self) -> Path:
        return self._server.data

    def end(self, how: signal.Signals) -> None:
        """End it, and leave its guard nothing to guard."""
        pid = int((self._server.data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, how)
        until(lambda: self._child.ended, "PostgreSQL has ended", 30)
        self._child.stop()

    def begin(self) -> None:
        self._child = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._child.stop()
        self._lock.release()

    def _start(self) -> Child:
        child = self._server.start(self._binary, self._lock)
        until(lambda: child.ended or self._server.ready(), "PostgreSQL takes connections", 60)
        assert not child.ended, child.failure("PostgreSQL did not start")
        return child
