"""Where benchmarks run: private, durable servers of this run's own, and databases on them."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from pydantic import SecretStr

from config.settings import Settings
from ops.family import Family
from ops.installation import Installation, open_installation
from ops.servers import Servers, private_servers
from storage.audit import run_audit
from storage.database import connect
from storage.migrate import migrate
from workers.broker import connect_redis

_KEY = "benchmark" * 4


class BenchmarkError(Exception):
    """A figure can't be measured here, or what was measured isn't it; the message says why."""


@dataclass(frozen=True)
class Ground:
    """One run's servers, and the folder that is removed with them."""

    servers: Servers
    folder: Path

    @contextmanager
    def installation(self, name: str) -> Iterator[Installation]:
        """A database of its own, empty but for the schema, and an empty Redis."""
        self._administer(f"CREATE DATABASE {name}")
        try:
            with connect_redis(self.servers.redis_url) as client:
                client.flushall()
            settings = self._settings(name)
            assert settings.database_url is not None
            engine = connect(settings.database_url)
            migrate(engine)
            engine.dispose()
            with open_installation(settings) as installation:
                yield installation
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")
            self.settle_down()

    def settle_down(self) -> None:
        """Let what was written before weigh on nothing that is measured from here on."""
        self._administer("CHECKPOINT")

    def _settings(self, database: str) -> Settings:
        parts = urlsplit(self.servers.database_url)
        url = urlunsplit(parts._replace(path=f"/{database}"))
        files = f"file://{self.folder / 'outbox'}"
        return Settings(
            home=self.folder,
            database_url=url,
            redis_url=self.servers.redis_url,
            secret_key=SecretStr(_KEY),
            email_url=files,
            sms_url=files,
        )

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self.servers.database_url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def open_ground() -> Iterator[Ground]:
    """Start PostgreSQL and Redis with fsync on, in a folder of this run's own."""
    folder = Path(tempfile.mkdtemp(prefix="layby-bench-"))
    try:
        with private_servers(folder) as servers:
            yield Ground(servers, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def url_of(installation: Installation) -> str:
    return installation.servers.database_url


def must_be_whole(installation: Installation) -> None:
    """Raise BenchmarkError if the audit finds something: speed that breaks a guarantee is none."""
    with installation.engine.connect() as connection:
        results = run_audit(connection)
    # Warnings are of a backlog, which here is made on purpose.
    broken = [result for result in results if result.found and not result.check.warning]
    if broken:
        names = ", ".join(f"{result.check.name} ({result.found})" for result in broken)
        raise BenchmarkError(f"The guarantees did not hold, so the figures are none: {names}.")


def without_settings() -> dict[str, str]:
    """The environment, without what someone has set for a Layby of theirs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LAYBY_")}


class Logs:
    """Keeps what processes write, and knows whether one ended that nobody had asked to."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def __call__(self, process: str, line: str) -> None:
        self._lines.append(f"{process}: {line}")

    def check(self) -> None:
        """Raise BenchmarkError if a process ended or had something to complain of."""
        wrong = [
            line
            for line in self._lines
            if "ended with status" in line or '"level": "error"' in line or "Traceback" in line
        ]
        if wrong:
            last = "\n".join(self._lines[-20:])
            raise BenchmarkError(f"A process failed, so the figure is none:\n{last}")


@contextmanager
def running(
    installation: Installation, *names: str, program: str = "ops", **settings: str
) -> Iterator[Family]:
    """These processes, each a real one; they fail the benchmark if they fail."""
    ours = {
        "LAYBY_DATABASE_URL": installation.servers.database_url,
        "LAYBY_REDIS_URL": installation.servers.redis_url,
        "LAYBY_SECRET_KEY": installation.key.decode(),
        "LAYBY_HOME": str(installation.settings.home),
        "LAYBY_EMAIL_URL": installation.settings.email_url,
        "LAYBY_SMS_URL": installation.settings.sms_url,
        **settings,
    }
    logs = Logs()
    family = Family(list(names), without_settings() | ours, logs, program=program)
    try:
        yield family
    finally:
        family.stop()
    logs.check()
