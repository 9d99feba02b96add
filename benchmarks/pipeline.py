"""`pipeline`: due → start → gate → render → null channel → settle and next step, in real processes.

One scheduler, and a delivery process for each core, as the Procfile runs them, but that their
channel takes everything and delivers nothing. Four accounts share a hundred thousand customers,
each on a schedule whose every step is due already: settling one plans the next, which is due.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg

from benchmarks.fill import enrol
from benchmarks.ground import BenchmarkError, running, url_of
from config.machine_time import Deadline
from ops.installation import Installation

ACCOUNTS = tuple(f"energy-{number}" for number in range(1, 5))
_PROCESSES = 2
_BEGINS_WITHIN_SECONDS = 60
_WARM_UP_SECONDS = 2.0


def fill(
    installation: Installation, customers: int, rules: Mapping[str, Any] | None = None
) -> None:
    """All accounts' customers, due since an hour."""
    enrol(installation, ACCOUNTS, customers // len(ACCOUNTS), due_in="-1 hour", rules=rules)


class Pipeline:
    """The engine at one start size."""

    def __init__(self, installation: Installation, start_size: int) -> None:
        self._installation = installation
        self._start_size = start_size

    def rate(self, seconds: float) -> float:
        """Sends settled a second over a window in which everything runs already."""
        with psycopg.connect(url_of(self._installation), autocommit=True) as connection:
            with delivering(self._installation, self._start_size):
                steadily(connection)
                first = the_time(connection)
                time.sleep(seconds)
                last = the_time(connection)
                _must_be_due(connection)
            return settled_between(connection, first, last) / (last - first)


@contextmanager
def delivering(installation: Installation, start_size: int) -> Iterator[None]:
    """A scheduler and the delivery processes."""
    with ExitStack() as processes:
        for _ in range(_PROCESSES):
            name, program = f"delivery-{start_size}", "benchmarks.null_delivery"
            processes.enter_context(running(installation, name, program=program))
        processes.enter_context(running(installation, "scheduler"))
        yield


def settled_between(connection: psycopg.Connection, first: float, last: float) -> int:
    """How many sends the ledger has of a span, in seconds since the epoch."""
    row = connection.execute(
        "SELECT count(*) FROM sends WHERE state = 'sent' "
        "AND settled_at >= to_timestamp(%s) AND settled_at < to_timestamp(%s)",
        [first, last],
    ).fetchone()
    assert row is not None
    return int(row[0])


def the_time(connection: psycopg.Connection) -> float:
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()
    assert row is not None
    return float(row[0])


def steadily(connection: psycopg.Connection) -> None:
    """Wait until sends are started, and a while, until all processes do so at their pace."""
    before, patience = started(connection), Deadline.after(_BEGINS_WITHIN_SECONDS)
    while started(connection) <= before + 1:
        if patience.passed:
            raise BenchmarkError(
                f"No send was started within {_BEGINS_WITHIN_SECONDS} seconds. Is every process up?"
            )
        time.sleep(0.05)
    time.sleep(_WARM_UP_SECONDS)


def started(connection: psycopg.Connection) -> int:
    """How many sends have been started ever; the ledger is too long to be counted now and then."""
    row = connection.execute("SELECT last_value FROM started_send_seq").fetchone()
    assert row is not None
    return int(row[0])


def _must_be_due(connection: psycopg.Connection) -> None:
    """A window in which the work ran out measures nothing."""
    due = "SELECT 1 FROM pending WHERE due_at <= now() LIMIT 1"
    if connection.execute(due).fetchone() is None:
        raise BenchmarkError("Nothing was due any more at the window's end. Enrol more customers.")
