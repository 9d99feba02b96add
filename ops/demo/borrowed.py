"""On servers that the user set: databases of the demo's own, never ones that hold anything else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlencode

import psycopg
import redis

from ops.screen import UserError
from storage.database import connect

DATABASE = "layby_demo"
_MARK = "Made by layby demo; dropped and made anew at each run."
_REDIS_MARK = "layby:demo"
_ABANDONED_SECONDS = 600
"""A mark as old as this was left by a demo that was killed."""


def fresh_database(url: str) -> str:
    """Make the database `layby_demo` anew on the server of `url`, migrated; returns its URL."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            _recreate(connection)
    except psycopg.Error as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise UserError(
            f"The demo needs a database of its own, and can't make {DATABASE} on the server of "
            f"LAYBY_DATABASE_URL: {reason}. Give its user the right (ALTER ROLE … CREATEDB), or "
            "unset LAYBY_DATABASE_URL: then Layby starts a private server."
        ) from None
    own = with_database(url, DATABASE)
    engine = connect(own, connections=1)
    try:
        from storage.migrate import migrate  # noqa: PLC0415 - alembic costs a tenth of a start

        migrate(engine)
    finally:
        engine.dispose()
    return own


def _recreate(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    found = connection.execute(
        "SELECT shobj_description(oid, 'pg_database'), datname = current_database() "
        "FROM pg_database WHERE datname = %s",
        [DATABASE],
    ).fetchone()
    if found is not None:
        mark, connected = found
        if mark != _MARK or connected:
            raise UserError(
                f"The server of LAYBY_DATABASE_URL has a database {DATABASE} that the demo did not "
                "make, or that is set as yours. The demo drops its own at each run, so it won't "
                "touch this one: rename it, or unset LAYBY_DATABASE_URL."
            )
        connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    connection.execute(f"CREATE DATABASE {DATABASE}")
    connection.execute(f"COMMENT ON DATABASE {DATABASE} IS '{_MARK}'")


def with_database(url: str, database: str) -> str:
    """The same server and user, another database."""
    scheme, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    options = [(name, value) for name, value in parse_qsl(query) if name != "dbname"]
    ending = f"?{urlencode(options)}" if options else ""
    return f"{scheme}://{place.split('/', 1)[0]}/{database}{ending}"


@contextmanager
def empty_redis(url: str) -> Iterator[str]:
    """The URL of a numbered database in the user's Redis that is empty; emptied again after."""
    own = _find_empty(url)
    with redis.Redis.from_url(own, socket_timeout=5) as client:
        client.set(_REDIS_MARK, int(time.time()))
        try:
            yield own
        finally:
            client.flushdb()


def _find_empty(url: str) -> str:
    try:
        # From the far end: the first numbers are those that people use.
        for number in range(15, 0, -1):
            candidate = with_number(url, number)
            with redis.Redis.from_url(candidate, socket_timeout=5) as client:
                marked_at = int(client.get(_REDIS_MARK) or 0)
                if 0 < marked_at < time.time() - _ABANDONED_SECONDS:
                    client.flushdb()
                if not client.dbsize():
                    return candidate
    except redis.RedisError as error:
        raise UserError(
            f"The demo can't find an empty database on the server of LAYBY_REDIS_URL: {error}. "
            "Start it, or unset LAYBY_REDIS_URL: then Layby starts a private one."
        ) from None
    raise UserError(
        "The demo needs an empty database on the server of LAYBY_REDIS_URL, and none of 1 to 15 "
        "is. Empty one, or unset LAYBY_REDIS_URL: then Layby starts a private one."
    )


def with_number(url: str, number: int) -> str:
    """The same server, another numbered database."""
    place, _, query = url.partition("?")
    options = [(name, value) for name, value in parse_qsl(query) if name != "db"]
    return f"{place}?{urlencode([*options, ('db', str(number))])}"
