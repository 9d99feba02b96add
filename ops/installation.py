"""An installation: the servers, the database, the key. Opened once by each command and process."""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from config.settings import Settings, SettingsError
from ops.servers import Servers, default_home, private_servers
from storage.database import Engine, check_reachable, connect
from storage.installation import check_key, use_key
from storage.schema import check_schema
from workers.broker import (
    RedisBell,
    check_redis,
    connect_redis,
    connect_redis_impatiently,
    make_broker,
)
from workers.consumer import WokenBroker
from workers.fence import Fence


@dataclass(frozen=True)
class Installation:
    """What commands and processes work with."""

    settings: Settings
    servers: Servers
    engine: Engine
    key: bytes
    fence: Fence

    def redis(self) -> redis.Redis:
        return connect_redis(self.servers.redis_url)

    def broker(self) -> WokenBroker:
        return make_broker(self.redis())

    def bell(self) -> RedisBell:
        return RedisBell(self.broker())

    def impatient_bell(self) -> RedisBell:
        """A bell for who must not wait for a Redis that is away: the next tick rings again."""
        return RedisBell(make_broker(connect_redis_impatiently(self.servers.redis_url)))

    def name(self) -> str:
        """Name this process, for leases and for whoever reads who started a send."""
        return f"{socket.gethostname()}/{os.getpid()}"


@contextmanager
def open_installation(settings: Settings, *, connections: int = 10) -> Iterator[Installation]:
    """Servers started or attached to, schema and key checked.

    Private servers belong to us, so their schema is brought up to date here; for others, that is
    `layby migrate`, by whoever runs them.
    """
    with open_servers(settings) as servers:
        engine = connect(servers.database_url, connections=connections)
        try:
            check_reachable(engine)
            check_redis(servers.redis_url)
            if settings.database_url is None:
                from storage.migrate import migrate  # noqa: PLC0415 - alembic costs a tenth of a start

                migrate(engine)
            key = secret_key(settings)
            with engine.begin() as connection:
                check_schema(connection)
                check_key(connection, key)
            use_key(engine, key)
            fence = Fence(engine, servers.redis_url)
            fence.holds()
            yield Installation(settings, servers, engine, key, fence)
        finally:
            engine.dispose()


@contextmanager
def open_servers(settings: Settings, *, durable: bool = True) -> Iterator[Servers]:
    """The servers that the settings name, else private ones; those of tests need not be durable."""
    servers = private_servers(
        home_of(settings),
        source=settings.servers,
        durable=durable,
        database_url=settings.database_url,
        redis_url=settings.redis_url,
    )
    try:
        yield servers
    finally:
        servers.stop()


def home_of(settings: Settings) -> Path:
    return settings.home or default_home()


def secret_key(settings: Settings) -> bytes:
    """The key as set; for a private database, made once and kept beside it."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    if settings.database_url is not None:
        raise SettingsError(
            "LAYBY_SECRET_KEY must be set beside LAYBY_DATABASE_URL, the same on every process: "
            "recipients are remembered by a hash keyed with it. Make one: openssl rand -hex 32"
        )
    kept = home_of(settings) / "secret.key"
    try:
        descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return kept.read_bytes().strip()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_hex(32).encode())
    return kept.read_bytes().strip()
