"""A stage for each test: on the run's servers, or on servers that the test may break."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from acceptance.stage import Stage
from warm import WarmLayby

from ops.servers import Servers


@pytest.fixture
def stage(
    servers: Servers,
    database_url: str,
    redis_client: redis.Redis,  # noqa: ARG001 - empties Redis first
    tmp_path: Path,
    warm: WarmLayby,
) -> Stage:
    """A database of this test's own, and a Redis that is empty."""
    return Stage(database_url, servers.redis_url, tmp_path, warm)


@pytest.fixture
def home() -> Iterator[Path]:
    """A home for servers of this test's own, in a folder that their user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="layby-test-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def source() -> str:
    """Where private servers come from in this run."""
    return os.environ.get("LAYBY_TEST_SERVERS", "any")
