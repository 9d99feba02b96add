"""Start the private servers of a home, or attach to those that another process started."""

import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from config.machine_time import Deadline
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


@dataclass(frozen=True)
class Servers:
    """Servers to use: where they are, what they are, and whether this process started any."""

    database_url: str
    redis_url: str
    said: str
    owned: bool
    _undo: ExitStack = field(default_factory=ExitStack, repr=False)

    def stop(self) -> None:
        """End what this process started, keeping its data; the servers of others stay."""
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


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
            owned = _launch(place, wanted, source, said, undo)
            urls = (database_url or postgres.url, redis_url or redis.url)
            return Servers(*urls, "\n".join(said.values()), owned, undo.pop_all())
    except OSError as error:
        raise ServersError(
            f"Cannot keep the private servers' data in {home}: {error}. Set LAYBY_HOME to a folder "
            "that you may write to, on a disk with free space."
        ) from error


def _launch(
    home: Home, wanted: list[Postgres | Redis], source: str, said: dict[str, str], undo: ExitStack
) -> bool:
    """Start what has no owner yet, side by side; leave in `said` what each is."""
    locks: dict[Postgres | Redis, Lock] = {}
    for server in wanted:
        if lock := _own_or_attach(home, server, undo):
            locks[server] = lock
        else:
            said[server.name] = note_of(_lock_file(home, server))
    # Every program is found before any is run: no data is made for want of the other.
    binaries = {server: server.find(source) for server in locks}
    children: dict[Postgres | Redis, Child] = {}
    # Redis first: PostgreSQL may have to make its data before it runs.
    for server in reversed(locks):
        children[server] = server.start(binaries[server], locks[server])
        undo.callback(children[server].stop)
    for server, child in children.items():
        _wait_until_ready(server, child)
        said[server.name] = binaries[server].said
        locks[server].note(binaries[server].said)
    return bool(locks)


def _own_or_attach(home: Home, server: Postgres | Redis, undo: ExitStack) -> Lock | None:
    """The server's lock; or None once the server answers that the lock's holder has started."""
    deadline = Deadline.after(_ATTACH_SECONDS)
    while True:
        if lock := take(_lock_file(home, server)):
            undo.callback(lock.release)
            undo.callback(_remove_if_empty, home.sockets)
            home.claim(home.sockets)
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
