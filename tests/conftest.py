"""Real servers for every test: one PostgreSQL and one Redis, a template database each."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import structlog
from databases import Database, Databases
from harness import Layby
from warm import WarmLayby

from config.logs import exception_in_words
from config.settings import read_settings
from ops.installation import open_servers
from ops.servers import Servers
from storage.database import Engine
from storage.migrate import migrate
from workers.broker import connect_redis


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """LAYBY_TEST_DATABASE_URL and LAYBY_TEST_REDIS_URL, else private servers for this run."""
    # Not below pytest's own folder, which a private server's user could not enter.
    home = Path(tempfile.mkdtemp(prefix="layby-test-", dir="/tmp"))
    given = {
        f"LAYBY_{name}": os.environ[f"LAYBY_TEST_{name}"]
        for name in ("DATABASE_URL", "REDIS_URL", "SERVERS")
        if f"LAYBY_TEST_{name}" in os.environ
    }
    settings = read_settings({**given, "LAYBY_HOME": str(home)})
    with open_servers(settings, durable=False) as running:
        print(f"\n{running.said}")  # noqa: T201 - each run says which servers it used
        yield running
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def databases(servers: Servers) -> Iterator[Databases]:
    databases = Databases(servers.database_url)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def template(databases: Databases) -> Iterator[str]:
    """A migrated database that each test's own is copied from."""
    with databases.copy() as new:
        migrate(new.shared)
        new.shared.dispose()
        yield new.name


@pytest.fixture
def database(databases: Databases, template: str) -> Iterator[Database]:
    """Of one test alone."""
    database = databases.take(template)
    yield database
    databases.give_back(database)


@pytest.fixture
def database_url(database: Database) -> str:
    return database.url


@pytest.fixture
def engine(database: Database) -> Engine:
    return database.engine()


@pytest.fixture
def redis_client(servers: Servers) -> Iterator[redis.Redis]:
    """An empty Redis; each process of the test run has one of its own."""
    client = connect_redis(servers.redis_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmLayby]:
    """What runs `layby` without starting anew each time."""
    warm = WarmLayby()
    yield warm
    warm.close()


@pytest.fixture
def layby(engine: Engine, tmp_path: Path) -> Iterator[Layby]:
    """An account with customers' commands, deliveries and a clock, driven by the test."""
    with Layby(engine, tmp_path / "outbox") as driven:
        yield driven


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Without the locals that structlog shows unless told otherwise, which take it seconds."""
    structlog.configure(
        processors=[
            structlog.processors.ExceptionRenderer(exception_in_words),
            structlog.processors.JSONRenderer(),
        ],
        cache_logger_on_first_use=False,
    )
    yield
    structlog.reset_defaults()
