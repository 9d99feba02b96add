"""Every door of Layby, in one list, and what takes in what the doors leave behind them."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from contract.doors.door import Door, Ground
from contract.doors.http_door import HttpDoor
from contract.doors.send_door import SendDoor
from contract.doors.sql_door import SqlDoor
from contract.doors.stream_door import StreamDoor
from harness import Layby

from ops.servers import Servers
from storage.database import Engine
from workers.broker import RedisBell, make_broker
from workers.bulk import apply_bulk
from workers.intake import STREAM, Intake
from workers.lifecycle import apply_waiting
from workers.submissions import Submissions

DOORS: tuple[type[Door], ...] = (StreamDoor, SendDoor, SqlDoor, HttpDoor)
NAMES = tuple(door.name for door in DOORS)
TAKEN_IN_LATER = ("stream", "sql")
"""What these bring is in the inbox once intake has been by; the others put it there themselves."""

Came = tuple[str, int, int, list[str]]
"""To what a command came: its state, applied, cancelled, and the codes of its refusals."""


class Doors:
    """All doors, each opened when it is asked for; what comes in is applied when the test says so.

    To open and close a server takes a quarter of a second, and half of the tests need none.
    """

    def __init__(self, ground: Ground, layby: Layby, client: redis.Redis) -> None:
        bell = RedisBell(make_broker(client))
        self.layby = layby
        self._client = client
        self._stream = Intake(client, ground.engine, bell, "reader")
        self._submissions = Submissions(ground.engine, bell)
        self._ground = ground
        self._open: dict[str, Door] = {}

    def __getitem__(self, name: str) -> Door:
        if name not in self._open:
            self._open[name] = DOORS[NAMES.index(name)](self._ground)
        return self._open[name]

    def take_in(self) -> None:
        """Do what intake does, until there is nothing left of it."""
        while self._client.xlen(STREAM):
            self._stream.read_once()
        while self._submissions.take_once():
            pass

    def apply(self) -> None:
        """Take in, and apply what then waits."""
        self.take_in()
        for (account,) in self.layby.rows("SELECT DISTINCT account FROM commands"):
            apply_waiting(self.layby.engine, account)
            apply_bulk(self.layby.engine, account)

    def set_up(self, name: str, commands: Iterable[bytes]) -> None:
        """Bring what a test takes for granted through this door, and apply it."""
        for command in commands:
            self[name].submit(command)
            self.apply()
        assert {state for _, state in self.kept()} == {"applied"}

    def outcome(self, name: str, command: bytes) -> Came:
        """Bring a command through this door, and apply it."""
        self[name].submit(command)
        self.apply()
        given = json.loads(command)
        self.layby.account = given["account"]
        outcome = self.layby.outcome(given["id"])
        codes = [refusal.code for refusal in outcome.refusals]
        return outcome.state, outcome.applied, outcome.cancelled, codes

    def kept(self) -> list[tuple[Any, ...]]:
        """(id, state) of all that was taken in, in order."""
        return self.layby.rows("SELECT command, state FROM commands ORDER BY seq")

    def close(self) -> None:
        for door in self._open.values():
            door.close()


@pytest.fixture
def doors(
    engine: Engine,
    database_url: str,
    servers: Servers,
    layby: Layby,
    redis_client: redis.Redis,
    tmp_path: Path,
) -> Iterator[Doors]:
    opened = Doors(
        Ground(engine, database_url, servers.redis_url, tmp_path / "doors"), layby, redis_client
    )
    yield opened
    opened.close()
