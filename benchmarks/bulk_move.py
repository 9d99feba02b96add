"""`bulk_move`: a hundred thousand customers to the directory, beside raw SQL that writes the same.

The engine's way is the stream, in real processes, until every customer has its line; by hand it is
one connection and a transaction for each thousand customers. Half of each, by turns.
"""

import json
import time
from collections.abc import Collection, Iterator

import psycopg

from benchmarks import by_hand
from benchmarks.figure import Figure, beside
from benchmarks.fill import enrol
from benchmarks.ground import BenchmarkError, Ground, must_be_whole, running, url_of
from benchmarks.sizes import Size
from config.machine_time import Deadline, machine_seconds
from ops.installation import Installation
from workers.intake import STREAM

FIGURES = ("bulk_move",)
_ENGINE, _HAND = "energy-1", "energy-2"
_BY_HAND_AT_ONCE = 1_000
_ROUNDS = 2
_STUCK_SECONDS = 60
_LOOK_EVERY_SECONDS = 0.02


def measure(ground: Ground, size: Size, wanted: Collection[str]) -> dict[str, Figure]:
    """Customers moved a second, each with one enrolment and one pending send."""
    del wanted
    engine, hand = [], []
    with ground.installation("bulk") as installation:
        # One more for each round, to see that the processes are up.
        enrol(installation, (_ENGINE, _HAND), size.bulk_customers + _ROUNDS, due_in="30 days")
        names = [f"c-{number}" for number in range(1, size.bulk_customers + _ROUNDS + 1)]
        for part in _parts(names, size.bulk_customers // _ROUNDS + 1):
            ground.settle_down()
            engine.append(_by_the_stream(installation, part, size.bulk_at_once))
            ground.settle_down()
            hand.append(_by_hand(installation, part))
        must_be_whole(installation)
    more = {"customers": size.bulk_customers, "customers_a_command": size.bulk_at_once}
    return {"bulk_move": beside(engine, hand, "customers/s", "≥ 0.2", **more)}


def _parts(names: list[str], at_once: int) -> Iterator[list[str]]:
    return (names[first : first + at_once] for first in range(0, len(names), at_once))


def _by_the_stream(installation: Installation, names: list[str], at_once: int) -> float:
    first, rest = names[0], names[1:]
    with (
        running(installation, "intake", "lifecycle", "scheduler"),
        psycopg.connect(url_of(installation), autocommit=True) as connection,
    ):
        _publish(installation, [[first]])
        _wait_until_done(connection, [first])
        began = machine_seconds()
        parts = list(_parts(rest, at_once))
        _publish(installation, parts)
        _wait_until_done(connection, [part[0] for part in parts])
        return len(rest) / (machine_seconds() - began)


def _publish(installation: Installation, parts: list[list[str]]) -> None:
    """A command for each part, named by its first customer."""
    with installation.redis() as client:
        for part in parts:
            command = {
                "id": f"bulk-{part[0]}",
                "account": _ENGINE,
                "kind": "move_to_directory",
                "customers": part,
                "source": "billing",
            }
            client.xadd(STREAM, {"command": json.dumps(command)})


def _wait_until_done(connection: psycopg.Connection, firsts: list[str]) -> None:
    names = [f"bulk-{first}" for first in firsts]
    before, patience = -1, Deadline.after(_STUCK_SECONDS)
    while True:
        row = connection.execute(
            "SELECT count(*) FILTER (WHERE state = 'applied'), coalesce(sum(applied), 0) "
            "FROM commands WHERE account = %s AND command = ANY(%s)",
            [_ENGINE, names],
        ).fetchone()
        assert row is not None
        if row[0] == len(names):
            return
        if row[1] != before:
            before, patience = row[1], Deadline.after(_STUCK_SECONDS)
        if patience.passed:
            raise BenchmarkError(
                f"{row[0]} of {len(names)} bulk commands are applied, and nothing has moved for "
                f"{_STUCK_SECONDS} seconds."
            )
        time.sleep(_LOOK_EVERY_SECONDS)


def _by_hand(installation: Installation, names: list[str]) -> float:
    with psycopg.connect(url_of(installation), autocommit=True) as connection:
        began = machine_seconds()
        for part in _parts(names, _BY_HAND_AT_ONCE):
            by_hand.move(connection, _HAND, part, sends_each=1)
        return len(names) / (machine_seconds() - began)
