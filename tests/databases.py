"""A database for each test, as good as a new copy of its template, which costs 100 ms more.

What the last test leaves is emptied, and filled with what the template has; its connections go on,
with what PostgreSQL has cached for them. It goes, and a new copy is made, where that could be told
from a new one: a changed schema, statistics, a size, or somebody who is still connected.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from uuid import uuid4

import psycopg
from patience import comes
from psycopg import Connection, sql
from sqlalchemy import QueuePool, make_url

from storage.database import Engine, connect
from storage.tables import metadata

_CONNECTIONS = 40
_PATIENCE_SECONDS = 0.2
_ROOM_BYTES = 2_000_000
"""Dead rows slow the next test, if they are many."""

_TABLES = [
    sql.Identifier(name)
    for name in ("alembic_version", *(table.name for table in metadata.sorted_tables))
]
_SEQUENCES = [
    (table.name, column.name)
    for table in metadata.sorted_tables
    for column in table.columns
    if column.identity is not None
]


class Database(NamedTuple):
    """A test's own, until it gives it back."""

    template: str
    name: str
    url: str
    shared: Engine
    """Goes on with the next test."""

    def engine(self) -> Engine:
        """On the same connections; who listens to it hears nothing of the next test."""
        return self.shared.execution_options()


class _Content(NamedTuple):
    """What a new copy has."""

    rows: list[tuple[sql.Identifier, bytes]]
    numbers: list[tuple[str, int, bool]]
    schema: object
    size_bytes: int


class Databases:
    """Of one server, for one process that runs tests, one at a time."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._spare: Database | None = None
        self._contents: dict[str, _Content] = {}

    @contextmanager
    def copy(self, of: str = "template0") -> Iterator[Database]:
        """Inside the block there is one; of a database without tables, if of no other."""
        new = self._copy(of, "copy")
        try:
            yield new
        finally:
            self._drop(new)

    def take(self, template: str) -> Database:
        """One that is as the template is."""
        spare, self._spare = self._spare, None
        if spare is not None and spare.template == template:
            return spare
        if spare is not None:
            self._drop(spare)
        new = self._copy(template, "test")
        if template not in self._contents:
            with psycopg.connect(new.url) as connection:
                self._contents[template] = _content(connection)
        return new

    def give_back(self, database: Database) -> None:
        """When its test is over; it may have been dropped by then."""
        if self._emptied(database):
            self._spare = database
        else:
            self._drop(database)

    def close(self) -> None:
        if self._spare is not None:
            self._drop(self._spare)

    def url(self, name: str) -> str:
        url = make_url(self._server_url).set(database=name)
        return url.render_as_string(hide_password=False)

    def _emptied(self, database: Database) -> bool:
        content = self._contents[database.template]
        try:
            with psycopg.connect(database.url) as connection:
                if not _left_alone(connection, database.shared):
                    return False
                if not _unchanged(connection, content):
                    return False
                for table in reversed(_TABLES):
                    connection.execute(sql.SQL("DELETE FROM {}").format(table))
                _fill(connection, content)
        except (psycopg.OperationalError, psycopg.errors.IdleInTransactionSessionTimeout):
            return False  # dropped, or with settings of the test's own, by which this is too slow
        return True

    def _copy(self, template: str, what: str) -> Database:
        name = f"{what}_{uuid4().hex[:12]}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE {template}")
        url = self.url(name)
        return Database(template, name, url, connect(url, connections=_CONNECTIONS))

    def _drop(self, database: Database) -> None:
        database.shared.dispose()
        self._administer(f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)")

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(statement.encode())


def _content(connection: Connection) -> _Content:
    rows = [(table, _copied(connection, table)) for table in _TABLES]
    numbers = [
        (sequence, *_last_number(connection, sequence))
        for named in _SEQUENCES
        for (sequence,) in connection.execute("SELECT pg_get_serial_sequence(%s, %s)", named)
    ]
    schema, size = _now(connection)
    return _Content([one for one in rows if one[1]], numbers, schema, size)


def _copied(connection: Connection, table: sql.Identifier) -> bytes:
    every = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(table)
    with connection.cursor() as cursor, cursor.copy(every) as copy:
        return b"".join(copy)


def _last_number(connection: Connection, sequence: str) -> tuple[int, bool]:
    [row] = connection.execute(
        sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(*sequence.split(".")))
    )
    return row[0], row[1]


def _fill(connection: Connection, content: _Content) -> None:
    for table, rows in content.rows:
        fill = sql.SQL("COPY {} FROM STDIN").format(table)
        with connection.cursor() as cursor, cursor.copy(fill) as copy:
            copy.write(rows)
    for sequence in content.numbers:
        connection.execute("SELECT setval(%s, %s, %s)", sequence)


def _left_alone(connection: Connection, shared: Engine) -> bool:
    """Whether only the pool is connected, and all of it. Who has just left needs a moment."""
    pool = shared.pool
    assert isinstance(pool, QueuePool)

    def only_the_pool() -> bool:
        [[others]] = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        if others < pool.checkedin():  # some have been ended
            shared.dispose()
        return bool(others == pool.checkedin()) and pool.checkedout() == 0

    return comes(only_the_pool, _PATIENCE_SECONDS)


def _unchanged(connection: Connection, content: _Content) -> bool:
    schema, size_bytes = _now(connection)
    return schema == content.schema and size_bytes < content.size_bytes + _ROOM_BYTES


def _now(connection: Connection) -> tuple[object, int]:
    """Every row of a catalog says which transaction wrote it: that tells any change of it."""
    [(*schema, size_bytes)] = connection.execute(_SCHEMA)
    return tuple(schema), size_bytes


_CATALOGS = (
    "pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_index", "pg_trigger", "pg_proc",
    "pg_inherits", "pg_type", "pg_namespace", "pg_rewrite", "pg_policy", "pg_statistic",
)  # fmt: skip
_SCHEMA = (
    "SELECT "
    + ", ".join(
        f"(SELECT ROW(count(*), sum(CAST(CAST(xmin AS text) AS bigint)))::text FROM {catalog})"
        for catalog in _CATALOGS
    )
    + ", (SELECT sum(reltuples) FROM pg_class)"
    ", (SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase "
    "   WHERE d.datname = current_database())"
    ", pg_database_size(current_database())"
).encode()
