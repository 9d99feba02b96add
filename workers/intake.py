"""The stream's intake: from the Redis stream `layby:commands` into the inbox, in its order.

An entry is acknowledged after its inbox row is committed, never before: a reader that dies leaves
its entries to the others, and what comes twice is accepted once, by its id.

Any number of readers may run; reading and committing is one at a time, under a lock. So whoever has
the lock knows that entries read by others are either committed or were left by the dead, and can
claim them at once: a customer's commands never overtake one another.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import redis
import structlog

from config.outage import Outage
from domain.commands import BULK_FROM, Command, UnreadableCommandError, read_command
from storage import inbox
from storage.database import (
    Connection,
    DatabaseError,
    Engine,
    first_line,
    is_conflict,
    is_lost,
    transact,
)
from storage.inbox import Accepted, Unreadable
from workers.broker import Bell
from workers.sending import ring_for

log = structlog.get_logger()

STREAM = "layby:commands"
DOOR = "stream"
FIELD = b"command"
GROUP = "layby"
_READ_AT_MOST = 200
_READ_BYTES = 1_000_000
"""No further entry is read at once with those that are as long as this together.

So what is held is a million bytes and one entry, however long two hundred of them are.
"""
_BLOCK_MILLISECONDS = 500

# One by one, because only what was read tells its length; within Redis, because a trip each would
# be a second for two hundred. What was deleted since it was read counts as looked at.
_READ = """
local entries, bytes, looked, most = {}, 0, 0, tonumber(ARGV[3])
local function keep(entry)
  entries[#entries + 1] = entry
  for _, text in ipairs(entry[2]) do bytes = bytes + #text end
end
local function room() return looked < most and bytes < tonumber(ARGV[4]) end

local from = '0-0'
repeat
  local left = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, from, 'COUNT', 1)
  from, looked = left[1], looked + 1
  if left[2][1] then keep(left[2][1]) end
until from == '0-0' or not room()

while room() do
  local new = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1,
                         'STREAMS', KEYS[1], '>')
  if not new then break end
  looked = looked + 1
  keep(new[1][2][1])
end
return entries
"""
"""What readers left, in order; then, unless more of that is left, what is new."""

Entry = tuple[bytes, dict[bytes, bytes]]
Accept = Callable[[Connection, Sequence[Command | Unreadable], str], list[Accepted | None]]


class Intake:
    """One reader of the stream."""

    def __init__(self, client: redis.Redis, engine: Engine, bell: Bell, reader: str) -> None:
        self._client = client
        self._engine = engine
        self._bell = bell
        self._reader = reader
        self._reading = client.register_script(_READ)
        self._stopping: Callable[[], bool] = lambda: False

    def run(self, stopping: Callable[[], bool]) -> None:
        """Read until told to stop; a server that is away is waited for."""
        self._stopping = stopping
        stream = Outage("redis")
        while not stopping():
            try:
                self.read_once()
                stream.over()
            except DatabaseError as error:
                # Nothing was acknowledged: it is there for the next reader.
                if not stopping() or not is_lost(error):
                    raise
            except redis.RedisError as error:
                stream.away(str(error))
                time.sleep(1.0)

    def read_once(self) -> int:
        """Wait a moment for entries, and take in those there are; returns how many."""
        # What is taken in is deleted, so whatever is in the stream is for us.
        there: Any = self._client.xread({STREAM: "0-0"}, count=1, block=_BLOCK_MILLISECONDS)
        if not there:
            return 0
        oldest = there[0][1][0][0]
        try:
            entries, accepted = self._transact(inbox.accept_all, oldest)
        except DatabaseError:
            # One entry spoils the batch: each on its own, and the culprit is set aside.
            entries, accepted = self._transact(accept_or_set_aside, oldest)
        ring_for(self._bell, accepted)
        if entries:
            self._acknowledge([entry_id for entry_id, _ in entries])
        return len(entries)

    def _transact(self, accept: Accept, oldest: bytes) -> tuple[list[Entry], list[Accepted | None]]:
        def take_in(connection: Connection) -> tuple[list[Entry], list[Accepted | None]]:
            inbox.lock_intake(connection)
            entries = self._read()
            if self._passed_over(oldest, entries):
                entries = self._read_anew()
            brought = [_brought(fields) for _, fields in entries]
            return entries, accept(connection, brought, DOOR)

        return transact(
            self._engine, take_in, patience_seconds=float("inf"), give_up=self._stopping
        )

    def _read(self) -> list[Entry]:
        try:
            return self._ask()
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            # The first reader ever, or a Redis that has lost everything.
            self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
            return self._ask()

    def _ask(self) -> list[Entry]:
        read = self._reading(keys=[STREAM], args=(GROUP, self._reader, _READ_AT_MOST, _READ_BYTES))
        return [(entry, dict(zip(texts[::2], texts[1::2], strict=True))) for entry, texts in read]

    def _passed_over(self, oldest: bytes, entries: list[Entry]) -> bool:
        """Whether the group takes an entry for done that is there: it is for us all the same.

        A consumer was removed with what it had read, or a group made that begins behind it.
        """
        if any(entry_id == oldest for entry_id, _ in entries):
            return False
        return bool(self._client.xrange(STREAM, oldest, oldest))

    def _read_anew(self) -> list[Entry]:
        """From the beginning, in order: what comes twice is accepted once."""
        log.warning("stream_read_anew", reason="its consumer group had passed entries over")
        self._client.xgroup_destroy(STREAM, GROUP)
        return self._read()

    def _acknowledge(self, ids: list[bytes]) -> None:
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.xack(STREAM, GROUP, *ids)
            pipeline.xdel(STREAM, *ids)
            pipeline.execute()


def _brought(fields: dict[bytes, bytes]) -> Command | Unreadable:
    raw = fields.get(FIELD)
    if raw is None:
        named = json.dumps({_text(key): _text(value) for key, value in fields.items()})
        problem = "The entry has no field \"command\". Use: XADD layby:commands * command '{…}'"
        return _unreadable(named, DOOR, problem)
    return read(raw, DOOR)


def accept_or_set_aside(
    connection: Connection, brought: Sequence[Command | Unreadable], door: str
) -> list[Accepted | None]:
    """Accept commands; one that the database can't keep is quarantined, and the others go on."""
    return [_accept_or_set_aside(connection, one, door) for one in brought]


def _accept_or_set_aside(
    connection: Connection, one: Command | Unreadable, door: str
) -> Accepted | None:
    try:
        with connection.begin_nested():
            return inbox.accept_all(connection, [one], door)[0]
    except DatabaseError as error:
        if is_lost(error) or is_conflict(error):
            raise
        raw = one.raw if isinstance(one, Unreadable) else one.model_dump_json(exclude_unset=True)
        problem = f"The database can't keep it: {first_line(error)}."
        inbox.quarantine(connection, Unreadable(raw, problem), door)
        return None


def accept_raw(
    connection: Connection, raw: bytes, door: str, *, bulk_from: int = BULK_FROM
) -> Accepted | None:
    """Accept a command as it came, or keep it in quarantine (None)."""
    return inbox.accept_all(connection, [read(raw, door)], door, bulk_from=bulk_from)[0]


def read(raw: bytes, door: str) -> Command | Unreadable:
    """A command as it came, or why it can't be read."""
    try:
        return read_command(raw)
    except UnreadableCommandError as error:
        return _unreadable(_text(raw), door, f"It can't be read: {error}")
    except Exception as error:
        # A defect of ours must not strand what comes behind.
        log.exception("cannot_read")
        problem = (
            f"It can't be read ({type(error).__name__}), and this may not be its fault. See the "
            "intake process's log, mend what it says, then: layby command replay ID"
        )
        return _unreadable(_text(raw), door, problem)


def _unreadable(raw: str, door: str, problem: str) -> Unreadable:
    """Under its own id, where it has one."""
    account, command, kind = _name_of(raw)
    log.warning("command_quarantined", account=account, command=command, door=door)
    return Unreadable(raw, problem, account, command, kind)


def _name_of(raw: str) -> tuple[str, str | None, str]:
    try:
        given = json.loads(raw)
    except (ValueError, RecursionError):
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
