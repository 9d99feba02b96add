"""Connections to PostgreSQL: how they are made, and what happens when one is lost."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg
import structlog
from psycopg.types.json import set_json_loads
from pydantic_core import from_json
from sqlalchemy import (
    Connection,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.exc import DBAPIError as DatabaseError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhaustedError

# For those who may not import sqlalchemy.
__all__ = ["Connection", "DatabaseError", "Engine", "PoolExhaustedError"]
T = TypeVar("T")
log = structlog.get_logger()

_PAUSES_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
_TELL_EVERY = 30
"""Attempts: once a minute, while the server is away."""


OLDEST = 15
"""The oldest PostgreSQL whose SQL is all that ours asks for."""


class DatabaseTooOldError(Exception):
    """The server lacks what our statements use; the message says what to do."""


class DatabaseUnreachableError(Exception):
    """No connection that can be worked with; the message names the server and says what to do."""


def connect(url: str, *, connections: int = 10) -> Engine:
    """An engine for a `postgresql://` URL. Nothing is opened yet."""
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_engine(
        parsed,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=30,
        # Whatever the server or the role say: facts that are read after the locks are read as of
        # then, which at REPEATABLE READ they are not.
        isolation_level="READ COMMITTED",
        connect_args={
            "prepare_threshold": None,
            "connect_timeout": 5,
            "tcp_user_timeout": 10_000,
            "application_name": "layby",
            "client_encoding": "utf8",
        },
    )
    event.listen(engine, "connect", _let_plans_be_kept)
    event.listen(engine, "connect", _read_json_fast)
    event.listen(engine, "handle_error", _leave_what_is_read_only)
    return engine


def _leave_what_is_read_only(context: ExceptionContext) -> None:
    """A standby, or a primary that has become one: the next connection may be to another server."""
    if getattr(context.original_exception, "sqlstate", None) == "25006":
        context.is_disconnect = True


def _let_plans_be_kept(driver: psycopg.Connection, _: object) -> None:
    """Not behind PgBouncer, where each transaction may be on another session of the server.

    There the process that answers is not the one that was connected to. But for plans, nothing
    relies on a session's state.
    """
    (pid,) = driver.execute("SELECT pg_backend_pid()").fetchone() or (None,)
    driver.commit()
    if pid == driver.info.backend_pid:
        driver.prepare_threshold = sys.maxsize  # but for what is run often (storage/often.py)


def _read_json_fast(driver: psycopg.Connection, _: object) -> None:
    set_json_loads(_read_json, driver)


def _read_json(data: str | bytes) -> object:
    """By Pydantic's parser: a batch has each customer's values, and json takes four times as long.

    Which it is for what is nested deeper than that one follows.
    """
    try:
        return from_json(data)
    except ValueError:
        return json.loads(data)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """For single statements that read: one round trip each, without a transaction round them.

    (At a ROLLBACK, which ends `engine.connect()`, the driver forgets what it has prepared.)
    """
    with engine.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


def check_reachable(engine: Engine) -> str:
    """The server's version; raises DatabaseUnreachableError, DatabaseTooOldError."""
    where = engine.url.set(drivername="postgresql").render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            version, number, read_only = connection.execute(
                text(
                    "SELECT current_setting('server_version'), "
                    "CAST(current_setting('server_version_num') AS int), "
                    "CAST(current_setting('transaction_read_only') AS boolean)"
                )
            ).one()
    except OperationalError as error:
        raise DatabaseUnreachableError(
            f"Cannot reach PostgreSQL at {where}: {first_line(error)}. Start it, or correct "
            "LAYBY_DATABASE_URL; unset, Layby starts a private one."
        ) from None
    if number < OLDEST * 10_000:
        raise DatabaseTooOldError(
            f"PostgreSQL {version} is too old: Layby needs {OLDEST} or newer. Upgrade the server, "
            "or name another one in LAYBY_DATABASE_URL; unset, Layby starts a private one."
        )
    if read_only:
        raise DatabaseUnreachableError(
            f"PostgreSQL at {where} may only be read: it is a standby, or "
            "default_transaction_read_only is on. Name the primary in LAYBY_DATABASE_URL, or turn "
            "that off."
        )
    return str(version)


def transact(
    engine: Engine,
    work: Callable[[Connection], T],
    *,
    patience_seconds: float = 0,
    give_up: Callable[[], bool] = lambda: False,
) -> T:
    """Run `work` in one transaction, anew when a deadlock or a lost connection ended it.

    `work` must be safe to run again: nothing of a transaction that failed remains. A commit whose
    acknowledgement was lost may have happened, so each `work` is guarded by what it takes (a
    waiting target, a pending row, an attempt token). After `patience_seconds` (machine time) of a
    server that is away, or once `give_up` says so, the error is raised.
    """
    give_up_at = time.monotonic() + patience_seconds
    for attempt in range(1_000_000):
        try:
            with engine.begin() as connection:
                return work(connection)
        except DatabaseError as error:
            again = attempt < len(_PAUSES_SECONDS) if is_conflict(error) else is_lost(error)
            if not again or (is_lost(error) and (time.monotonic() >= give_up_at or give_up())):
                raise
            if attempt % _TELL_EVERY == 0:
                log.warning("transaction_again", reason=first_line(error), attempt=attempt + 1)
            time.sleep(_PAUSES_SECONDS[min(attempt, len(_PAUSES_SECONDS) - 1)])
    raise AssertionError("unreachable")


def is_conflict(error: DatabaseError) -> bool:
    """A deadlock or serialization failure (SQLSTATE class 40): the same again may succeed."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return state.startswith("40")


def is_lost(error: DatabaseError) -> bool:
    """The server is away, or has no room for anybody's work: it was not the statement's fault.

    The connection went away or could not be made (SQLSTATE 08, 57P, 25P03, or none at all); disk,
    memory or connections are used up (53), a disk fails (58030), it may only be read (25006).
    """
    state: str | None = getattr(error.orig, "sqlstate", None)
    if error.connection_invalidated:
        return True
    if state is None:
        return isinstance(error, OperationalError)
    return state.startswith(("08", "57P", "25P03", "53", "58030", "25006"))


def is_out_of_time(error: DatabaseError) -> bool:
    """A statement waited or ran for longer than the server allows, or was cancelled there."""
    return getattr(error.orig, "sqlstate", None) in ("57014", "55P03")


def is_statement_timeout(error: DatabaseError) -> bool:
    """A statement took longer than `statement_timeout`."""
    return getattr(error.orig, "sqlstate", None) == "57014"


def is_lock_timeout(error: DatabaseError) -> bool:
    """A lock was not had within `lock_timeout`."""
    return getattr(error.orig, "sqlstate", None) == "55P03"


def first_line(error: DatabaseError) -> str:
    """What the driver said, without the statement and its values."""
    return str(error.orig).strip().split("\n", 1)[0].rstrip(".")
