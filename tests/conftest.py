"""Real servers for every test: one PostgreSQL and one Redis, a template database each."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import redis
from harness import Layby
from sqlalchemy import make_url
from warm import WarmLayby

from config.settings import read_settings
from ops.installation import open_servers
from ops.servers import Servers
from storage.database import Engine, connect
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
def template(servers: Servers) -> str:
    """A migrated database that each test's own is copied from."""
    name = f"template_{uuid4().hex[:8]}"
    _administer(servers, f"CREATE DATABASE {name}")
    engine = connect(_url(servers, name))
    migrate(engine)
    engine.dispose()
    return name


@pytest.fixture
def database_url(servers: Servers, template: str) -> Iterator[str]:
    """A database of this test's own."""
    name = f"test_{uuid4().hex[:12]}"
    _administer(servers, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _url(servers, name)
    _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url, connections=40)
    yield engine
    engine.dispose()


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


def _administer(servers: Servers, statement: str) -> None:
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


def _url(servers: Servers, database: str) -> str:
    url = make_url(servers.database_url).set(database=database)
    return url.render_as_string(hide_password=False)
