"""`move`: from XADD until the move is committed, and until it is quiet; beside the same by hand.

The engine's way is a stream, an inbox row (committed), a bell, another process and its transaction.
Pairs are interleaved: one customer by the stream, the next by hand, each with ten pending sends.
"""

import json
import random
import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

import psycopg
import redis

from benchmarks import by_hand
from benchmarks.ground import BenchmarkError, url_of
from config.machine_time import Deadline, machine_seconds
from ops.installation import Installation
from workers.intake import STREAM

SENDS_EACH = 10
"""Pending sends of each customer."""

_PATIENCE_SECONDS = 30
_LOOK_EVERY_SECONDS = 0.0002
_UP_TO_SECONDS_APART = 0.05
"""Longer than anything polls, so that moves come at any moment between two looks."""

_numbers = count(1)


class Pairs(NamedTuple):
    """Milliseconds of each, in order."""

    committed: list[float]
    quiet: list[float]
    hand: list[float]


def together(measured: Sequence[Pairs]) -> Pairs:
    """All of them, as if measured in one go."""
    return Pairs(
        *([one for pairs in column for one in pairs] for column in zip(*measured, strict=True))
    )


def customers_of(accounts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Customers to move, each once, by turns from all accounts."""
    return ((account, f"c-{number}") for number in count(1) for account in accounts)


def measure_pairs(
    installation: Installation, customers: Iterator[tuple[str, str]], pairs: int
) -> Pairs:
    """Move by the stream and by hand, by turns; the processes run already."""
    measured = Pairs([], [], [])
    chance = random.Random(1)  # noqa: S311 - moments, not secrets
    client = installation.redis()
    with (
        client,
        psycopg.connect(url_of(installation), autocommit=True) as watching,
        psycopg.connect(url_of(installation), autocommit=True) as writing,
    ):
        for pair in range(-_WARM_UP_PAIRS, pairs):
            time.sleep(chance.random() * _UP_TO_SECONDS_APART)
            committed, quiet = _by_the_stream(client, watching, *next(customers))
            time.sleep(chance.random() * _UP_TO_SECONDS_APART)
            hand = _by_hand(writing, *next(customers))
            if pair >= 0:
                measured.committed.append(committed)
                measured.quiet.append(quiet)
                measured.hand.append(hand)
    return measured


_WARM_UP_PAIRS = 5


def _by_the_stream(
    client: redis.Redis, connection: psycopg.Connection, account: str, customer: str
) -> tuple[float, float]:
    command = {
        "id": f"move-{next(_numbers)}",
        "account": account,
        "kind": "move_to_directory",
        "customers": [customer],
        "source": "billing",
    }
    began = machine_seconds()
    client.xadd(STREAM, {"command": json.dumps(command)})
    patience = Deadline.after(_PATIENCE_SECONDS)
    committed: float | None = None
    while True:
        state, quiet = _line(connection, account, customer)
        now = machine_seconds()
        if state == "applied":
            committed = committed or now
            if quiet:
                return (committed - began) * 1000, (now - began) * 1000
        if patience.passed or state not in (None, "waiting", "applied"):
            raise BenchmarkError(f"The move of {customer} is {state}, and not quiet. See its line.")
        time.sleep(_LOOK_EVERY_SECONDS)


def _line(connection: psycopg.Connection, account: str, customer: str) -> tuple[str | None, bool]:
    """What the outcome says of a customer whose only command this is."""
    row = connection.execute(
        "SELECT state, quiet_at IS NOT NULL FROM command_targets "
        "WHERE account = %s AND customer = %s",
        [account, customer],
    ).fetchone()
    return (None, False) if row is None else (str(row[0]), bool(row[1]))


def _by_hand(connection: psycopg.Connection, account: str, customer: str) -> float:
    began = machine_seconds()
    by_hand.move(connection, account, [customer], sends_each=SENDS_EACH)
    return (machine_seconds() - began) * 1000
