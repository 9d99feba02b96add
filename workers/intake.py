"""The stream's intake: from the Redis stream `layby:commands` into the inbox.

An entry is acknowledged after its inbox row is committed, and never before: a reader that dies
leaves its entries to the others, and what comes twice is accepted once, by its id.
"""

import json
from collections.abc import Callable
from typing import Any

import redis
import structlog

from domain.commands import UnreadableCommandError, read_command
from storage import inbox
from storage.database import Connection, Engine, transact
from storage.inbox import Accepted
from workers.broker import Bell

log = structlog.get_logger()

STREAM = "layby:commands"
FIELD = b"command"
GROUP = "layby"
_READ_AT_MOST = 100
_BLOCK_MILLISECONDS = 500
_DEAD_AFTER_MILLISECONDS = 10_000
"""A reader that has not acknowledged for so long is taken for dead; to be wrong costs nothing."""

Entry = tuple[bytes, dict[bytes, bytes]]


class Intake:
    """One reader of the stream."""

    def __init__(self, client: redis.Redis, engine: Engine, bell: Bell, reader: str) -> None:
        self._client = client
        self._engine = engine
        self._bell = bell
        self._reader = reader
        self._claim_from: bytes | str = "0-0"

    def run(self, stopping: Callable[[], bool], pause: Callable[[float], None]) -> None:
        """Read until told to stop; a server that is away is waited for."""
        while not stopping():
            try:
                self.read_once()
            except redis.ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                self._make_group()
            except redis.RedisError as error:
                log.warning("redis_away", reason=str(error))
                pause(1.0)

    def read_once(self) -> int:
        """Take in what a dead reader left and what is new; returns how many entries."""
        entries = [*self._left_by_the_dead(), *self._new()]
        if entries:
            self._take_in(entries)
        return len(entries)

    def _make_group(self) -> None:
        try:
            self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _left_by_the_dead(self) -> list[Entry]:
        claimed: Any = self._client.xautoclaim(
            STREAM,
            GROUP,
            self._reader,
            min_idle_time=_DEAD_AFTER_MILLISECONDS,
            start_id=self._claim_from,
            count=_READ_AT_MOST,
        )
        self._claim_from = claimed[0]
        return list(claimed[1])

    def _new(self) -> list[Entry]:
        read: Any = self._client.xreadgroup(
            GROUP, self._reader, {STREAM: ">"}, count=_READ_AT_MOST, block=_BLOCK_MILLISECONDS
        )
        return list(read[0][1]) if read else []

    def _take_in(self, entries: list[Entry]) -> None:
        accepted = transact(
            self._engine,
            lambda connection: [_accept(connection, fields) for _, fields in entries],
            patience_seconds=float("inf"),
        )
        ids = [entry_id for entry_id, _ in entries]
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.xack(STREAM, GROUP, *ids)
            pipeline.xdel(STREAM, *ids)
            pipeline.execute()
        for one in accepted:
            if one is not None and one.fresh:
                self._bell.command(one.account, one.seq)


def _accept(connection: Connection, fields: dict[bytes, bytes]) -> Accepted | None:
    raw = fields.get(FIELD)
    if raw is None:
        named = json.dumps({_text(key): _text(value) for key, value in fields.items()})
        problem = "The entry has no field \"command\". Use: XADD layby:commands * command '{…}'"
        quarantined(connection, named, "stream", problem)
        return None
    return accept_raw(connection, raw, "stream")


def accept_raw(connection: Connection, raw: bytes, door: str) -> Accepted | None:
    """Accept a command as it came, or keep it in quarantine (None)."""
    try:
        command = read_command(raw)
    except UnreadableCommandError as error:
        quarantined(connection, _text(raw), door, f"It can't be read: {error}")
        return None
    return inbox.accept(connection, command, door)


def quarantined(connection: Connection, raw: str, door: str, problem: str) -> str:
    """Keep what can't be read under its own id, where it has one."""
    account, command, kind = _name_of(raw)
    log.warning("command_quarantined", account=account, command=command, door=door)
    return inbox.quarantine(
        connection,
        raw=raw,
        door=door,
        problem=problem,
        account=account,
        command=command,
        kind=kind,
    )


def _name_of(raw: str) -> tuple[str, str | None, str]:
    try:
        given = json.loads(raw)
    except ValueError:
        return "", None, ""
    if not isinstance(given, dict):
        return "", None, ""
    account, command, kind = (given.get(name) for name in ("account", "id", "kind"))
    return (
        account[:63] if isinstance(account, str) else "",
        command[:200] if isinstance(command, str) and command else None,
        kind[:50] if isinstance(kind, str) else "",
    )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
