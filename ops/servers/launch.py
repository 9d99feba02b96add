"""Start the private servers of a home, or attach to those that another process started."""

import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from config.machine_time import Deadline
from ops.servers.binaries import Binary
from ops.servers.child import Child
from ops.servers.errors import ServersError
from ops.servers.home import Home, open_home
from ops.servers.lock import Lock, note_of, take
from ops.servers.postgres import Postgres
from ops.servers.redis import Redis

_POLL_SECONDS = 0.01
_ATTACH_SECONDS = 60
# Long: after a crash PostgreSQL first goes through its log, and ending it then helps nobody.
_READY_SECONDS = 300
_STARTS, _BETWEEN_STARTS_SECONDS = 5, 1


@dataclass
class Running:
    """A server that this process started, whichever of its starts it is by now."""

    server: Postgres | Redis
    binary: Binary
    lock: Lock
    child: Child

    def stop(self) -> None:
        self.child.stop()

    def start_again(self) -> None:
        """Start what has ended; PostgreSQL not before its last sessions have noticed that."""
        for attempt in range(1, _STARTS + 1):
            self.child.stop()  # it has ended, but not what guards it
            self.child = self.server.start(self.binary, self.lock)
            try:
                _wait_until_ready(self.server, self.child)
            except ServersError:
                if attempt == _STARTS:
                    raise
                time.sleep(_BETWEEN_STARTS_SECONDS)
            else:
                return


@dataclass(frozen=True)
class Servers:
    """Servers to use: where they are, what they are, and whether this process started any."""

    database_url: str
    redis_url: str
    said: str
    owned: bool
    _undo: ExitStack = field(default_factory=ExitStack, repr=False)
    _running: list[Running] = field(default_factory=list)
    _others: "Others | None" = None

    def start_what_ended(self) -> list[str]:
        """Start again what this process started and has ended by itself; returns what that was.

        Killed for want of memory, say: its data is there. Raises ServersError.
        """
        ended = [one for one in self._running if one.child.ended]
        for one in ended:
            one.start_again()
        return [one.binary.said for one in ended]

    def take_over(self) -> list[str]:
        """Start here what another process ran that has ended; returns what that is.

        Of several that are attached one does it, and the others go on with that. Raises
        ServersError.
        """
        if self._others is None:
            return []
        started = self._others.start_what_is_free(self._undo)
        self._running.extend(started)
        return [one.binary.said for one in started]

    def stop(self) -> None:
        """End what this process started, keeping its data; the servers of others stay."""
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@dataclass
class Others:
    """Servers of a home that other processes run."""

    home: Home
    source: str
    servers: list[Postgres | Redis]

    def start_what_is_free(self, undo: ExitStack) -> list[Running]:
        """Start those whose owners, and the servers that these ran, are gone."""
        locks = {one: lock for one in self.servers if (lock := _own(self.home, one, undo))}
        if not locks:
            return []
        self.servers = [one for one in self.servers if one not in locks]
        undo.callback(_remove_if_empty, self.home.sockets)
        return _start(locks, self.source, undo)


def private_servers(
    home: Path,
    *,
    source: str = "any",
    durable: bool = True,
    database_url: str | None = None,
    redis_url: str | None = None,
) -> Servers:
    """Start, or attach to, PostgreSQL and Redis in a home; one whose URL is given stays out.

    `source` is any, machine or wheels. Not durable is for tests: faster, and lost in a power cut.
    What this process starts ends with it, however it ends; with `with`, or stop(), sooner.
    Raises ServersError.
    """
    said = {"postgres": "PostgreSQL from LAYBY_DATABASE_URL", "redis": "Redis from LAYBY_REDIS_URL"}
    if database_url and redis_url:
        return Servers(database_url, redis_url, "\n".join(said.values()), owned=False)
    try:
        with ExitStack() as undo:
            place = open_home(home)
            postgres, redis = Postgres(place, durable), Redis(place, durable)
            wanted: list[Postgres | Redis] = [] if database_url else [postgres]
            wanted += [] if redis_url else [redis]
            running, others = _launch(place, wanted, source, said, undo)
            urls = (database_url or postgres.url, redis_url or redis.url)
            told, owned = "\n".join(said.values()), bool(running)
            return Servers(*urls, told, owned, undo.pop_all(), running, others)
    except OSError as error:
        raise ServersError(
            f"Cannot keep the private servers' data in {home}: {error}. Set LAYBY_HOME to a folder "
            "that you may write to, on a disk with free space."
        ) from error


def _launch(
    home: Home, wanted: list[Postgres | Redis], source: str, said: dict[str, str], undo: ExitStack
) -> tuple[list[Running], Others]:
    """Start what has no owner yet, side by side; leave in `said` what each is."""
    locks: dict[Postgres | Redis, Lock] = {}
    others = Others(home, source, [])
    try:
        for server in wanted:
            if lock := _own_or_attach(home, server, undo):
                locks[server] = lock
            else:
                others.servers.append(server)
                said[server.name] = note_of(_lock_file(home, server))
    finally:
        # At the end before any lock is released: who takes it next makes the folder anew.
        if locks:
            undo.callback(_remove_if_empty, home.sockets)
    running = _start(locks, source, undo)
    said |= {one.server.name: one.binary.said for one in running}
    return running, others


def _start(locks: dict[Postgres | Redis, Lock], source: str, undo: ExitStack) -> list[Running]:
    # Every program is found before any is run: no data is made for want of the other.
    binaries = {server: server.find(source) for server in locks}
    running: list[Running] = []
    # Redis first: PostgreSQL may have to make its data before it runs.
    for server in reversed(locks):
        child = server.start(binaries[server], locks[server])
        running.append(Running(server, binaries[server], locks[server], child))
        undo.callback(running[-1].stop)
    for one in running:
        _wait_until_ready(one.server, one.child)
        one.lock.note(one.binary.said)
    return running


def _own(home: Home, server: Postgres | Redis, undo: ExitStack) -> Lock | None:
    """The server's lock, if neither a process nor the server that it ran has it."""
    lock = take(_lock_file(home, server))
    if lock:
        undo.callback(lock.release)
        home.claim(home.sockets)
    return lock


def _own_or_attach(home: Home, server: Postgres | Redis, undo: ExitStack) -> Lock | None:
    """The server's lock; or None once the server answers that the lock's holder has started."""
    deadline = Deadline.after(_ATTACH_SECONDS)
    while True:
        if lock := _own(home, server, undo):
            return lock
        home.claim(home.sockets)
        if server.answers():
            return None
        if deadline.passed:
            raise ServersError(
                f"{server.title} in {home.path} belongs to another process and does not answer "
                f"({note_of(_lock_file(home, server))}). End that process, or set LAYBY_HOME to "
                "another folder."
            )
        time.sleep(_POLL_SECONDS)


def _wait_until_ready(server: Postgres | Redis, child: Child) -> None:
    deadline = Deadline.after(_READY_SECONDS)
    while not server.ready():
        if child.ended or deadline.passed:
            raise child.failure(f"{server.title} did not start")
        time.sleep(_POLL_SECONDS)


def _lock_file(home: Home, server: Postgres | Redis) -> Path:
    return home.path / f"{server.name}.lock"


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
