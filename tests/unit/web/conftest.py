"""A door of each test's own."""

from collections.abc import Iterator

import httpx
import pytest
import redis
from web_door import Door

from ops.servers import Servers
from storage.database import Engine


@pytest.fixture
def door(
    engine: Engine,
    servers: Servers,
    redis_client: redis.Redis,  # noqa: ARG001 - empties Redis first
) -> Iterator[Door]:
    with Door(engine, servers.redis_url) as served:
        yield served


@pytest.fixture
def admin(door: Door) -> Iterator[httpx.Client]:
    """A client with an admin's token of account acme."""
    with door.client(door.token()) as client:
        yield client
