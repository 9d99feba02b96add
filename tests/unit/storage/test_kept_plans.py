"""Plans of what is run often are kept; behind a pooler, where that can't work, they are not."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url, text

from storage.accounts import read_account
from storage.database import Engine, connect, reading

_KEY_DATA = b"K\x00\x00\x00\x0c"
"""How the message begins by which a server names the process of a session (protocol 3.0)."""


class Pooler:
    """Passes everything on, but names another process: as PgBouncer does, a session's own."""

    def __init__(self, url: str) -> None:
        self._to = conninfo_to_dict(make_url(url).render_as_string(hide_password=False))
        self._door = socket.create_server(("127.0.0.1", 0))
        self.renamed = False
        threading.Thread(target=self._serve, daemon=True).start()
        self.url = (
            make_url(url)
            .set(host="127.0.0.1", port=self._door.getsockname()[1], query={"sslmode": "disable"})
            .render_as_string(hide_password=False)
        )

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:  # closed: the test is over
                return
            server = self._server()
            for ends in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _server(self) -> socket.socket:
        host, port = str(self._to["host"]), self._to.get("port") or "5432"
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _pass_on(self, source: socket.socket, to: socket.socket, from_server: bool) -> None:  # noqa: FBT001 - a thread's argument
        with source, to, suppress(OSError):  # either side may be gone
            while data := source.recv(65536):
                if from_server and not self.renamed and _KEY_DATA in data:
                    data, self.renamed = _with_another_process(data), True
                to.sendall(data)

    def close(self) -> None:
        self._door.close()


def _with_another_process(data: bytes) -> bytes:
    at = data.index(_KEY_DATA) + len(_KEY_DATA)
    pid = int.from_bytes(data[at : at + 4]) + 1
    return data[:at] + pid.to_bytes(4) + data[at + 4 :]


@pytest.fixture
def pooled(database_url: str) -> Iterator[Engine]:
    with closing(Pooler(database_url)) as pooler:
        engine = connect(pooler.url, connections=1)
        yield engine
        engine.dispose()
        assert pooler.renamed


@pytest.fixture
def direct(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url, connections=1)
    yield engine
    engine.dispose()


def prepared(engine: Engine) -> list[datetime]:
    """Since when its one session knows each statement that it does, after a few transactions."""
    for _ in range(3):
        with reading(engine) as connection:
            read_account(connection, "acme")
        with engine.begin() as connection:
            read_account(connection, "acme")
    with reading(engine) as connection:
        known = connection.execute(text("SELECT prepare_time FROM pg_prepared_statements"))
        return list(known.scalars())


def test_what_is_run_often_is_planned_once_for_all_transactions(direct: Engine) -> None:
    (since,) = prepared(direct)
    assert prepared(direct) == [since]


def test_nothing_is_prepared_where_a_session_may_be_another_ones(pooled: Engine) -> None:
    assert prepared(pooled) == []


def test_nothing_else_is_prepared(direct: Engine) -> None:
    for _ in range(20):
        with reading(direct) as connection:
            connection.execute(text("SELECT 1")).scalar_one()
    assert len(prepared(direct)) == 1
