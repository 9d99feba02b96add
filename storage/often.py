"""Statements that are run again and again: planned once for a while, and given to the driver as is.

Half of a short statement's time on the server goes into its planning, and half of the client's into
what makes SQLAlchemy convenient: they are a dozen, and known.
"""

import time
from collections.abc import Mapping
from typing import Any

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

_KEEP_PLANS_SECONDS = 10
"""A plan is good for tables as large as when it was made, and those of a new database grow."""


class Often:
    """One such statement. It runs in the connection's transaction, as every other does."""

    def __init__(self, statement: str) -> None:
        dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]
        self._sql = str(text(statement).compile(dialect=dialect))

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """What it returns; raises as `connection.execute` does."""
        driver = connection.connection.dbapi_connection
        assert isinstance(driver, psycopg.Connection)
        sql, given = self._sql, parameters
        cursor = driver.cursor()
        for listener in connection.dispatch.before_cursor_execute:
            sql, given = listener(connection, cursor, sql, given, None, False)  # noqa: FBT003 - its signature
        try:
            _plan_anew(connection, cursor)
            cursor.execute(sql, given, prepare=True)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            # As for SQLAlchemy's own: wrapped, told to listeners, and a lost connection dropped. No
            # values are told.
            connection._handle_dbapi_exception(error, sql, None, cursor, None)  # noqa: SLF001


def _plan_anew(connection: Connection, cursor: psycopg.Cursor) -> None:
    info, now = connection.info, time.monotonic()
    if now >= info.setdefault("plan_anew_at", now + _KEEP_PLANS_SECONDS):
        cursor.execute("DISCARD PLANS")
        info["plan_anew_at"] = now + _KEEP_PLANS_SECONDS
