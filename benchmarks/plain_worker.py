"""`plain_worker`: the peer most would write: dramatiq and SQLAlchemy, one message for each send.

An actor claims its row and commits, then settles it and commits; it renders nothing and hands
nothing over. dramatiq's and SQLAlchemy's own defaults: a process for each core with eight threads,
a pool of five connections. Its queue is filled before the clock runs.
"""

import os
import sys
import time
from contextlib import ExitStack
from itertools import count

import dramatiq
import psycopg
from dramatiq.brokers.redis import RedisBroker
from sqlalchemy import create_engine, make_url, text

from benchmarks.ground import BenchmarkError, running, url_of
from config.logs import configure_logs
from config.machine_time import Deadline
from config.settings import read_settings
from ops.installation import Installation
from ops.stop import stop_signal

_NAMESPACE = "plain"
_WARM_UP_SECONDS = 1.5
_CLAIM = "UPDATE plain_sends SET state = 'started' WHERE send = :send AND state = 'planned'"
_SETTLE = "UPDATE plain_sends SET state = 'settled' WHERE send = :send AND state = 'started'"


Deliver = dramatiq.Actor[[int], None]


def _declare(database_url: str, redis_url: str) -> tuple[RedisBroker, Deliver]:
    broker = RedisBroker(url=redis_url, namespace=_NAMESPACE)  # type: ignore[no-untyped-call] # dramatiq's own is untyped
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"))

    def deliver(send: int) -> None:
        with engine.begin() as connection:
            claimed = connection.execute(text(_CLAIM), {"send": send}).rowcount
        if claimed:
            with engine.begin() as connection:
                connection.execute(text(_SETTLE), {"send": send})

    return broker, dramatiq.actor(actor_name="deliver", broker=broker)(deliver)


class PlainWorker:
    """A table and a queue of its own, beside the engine's."""

    def __init__(self, installation: Installation, sends: int) -> None:
        self._installation = installation
        self._sends = sends
        self._numbers = count(1)
        with psycopg.connect(url_of(installation), autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE plain_sends "
                "(send bigint PRIMARY KEY, due_at timestamptz NOT NULL, state text NOT NULL)"
            )
            connection.execute("CREATE INDEX plain_sends_due_idx ON plain_sends (due_at)")

    def rate(self, seconds: float) -> float:
        """Sends settled a second, of a queue that is full at the beginning."""
        servers = self._installation.servers
        broker, deliver = _declare(servers.database_url, servers.redis_url)
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            self._fill(connection, deliver)
            with ExitStack() as workers:
                for one in range(os.cpu_count() or 1):
                    name = f"plain-{one}"
                    program = "benchmarks.plain_worker"
                    workers.enter_context(running(self._installation, name, program=program))
                _wait_for_more(connection, 0)
                time.sleep(_WARM_UP_SECONDS)
                first, began = _settled(connection), time.monotonic()
                time.sleep(seconds)
                last, ended = _settled(connection), time.monotonic()
                if last == self._sends:
                    raise BenchmarkError("The plain worker's queue ran empty. Give it more sends.")
                broker.flush_all()
        return (last - first) / (ended - began)

    def _fill(self, connection: psycopg.Connection, deliver: Deliver) -> None:
        sends = [next(self._numbers) for _ in range(self._sends)]
        connection.execute("TRUNCATE plain_sends")
        connection.execute(
            "INSERT INTO plain_sends SELECT send, now(), 'planned' FROM unnest(%s::bigint[]) send",
            [sends],
        )
        connection.execute("VACUUM ANALYZE plain_sends")
        for send in sends:
            deliver.send(send)


def _settled(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM plain_sends WHERE state = 'settled'").fetchone()
    assert row is not None
    return int(row[0])


def _wait_for_more(connection: psycopg.Connection, before: int) -> None:
    patience = Deadline.after(30)
    while _settled(connection) <= before:
        if patience.passed:
            raise BenchmarkError("The plain worker has settled nothing within 30 seconds.")
        time.sleep(0.05)


def main(name: str) -> None:
    configure_logs(name)
    settings = read_settings()
    assert settings.database_url is not None
    assert settings.redis_url is not None
    broker, _ = _declare(settings.database_url, settings.redis_url)
    with stop_signal() as stop:
        worker = dramatiq.Worker(broker)
        worker.start()
        stop.wait()
        worker.stop()


if __name__ == "__main__":
    main(sys.argv[1])
