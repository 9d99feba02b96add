"""The fence: nothing is handed over on a database that has forgotten what went out.

The start asks the database in the statement that locks what is due (storage/starts.py), so nothing
slips through. Here is noticed what the database alone can't know: that it is behind the epoch which
this process, or any other by way of Redis, has seen.
"""

from typing import Any

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.machine_time import Deadline
from config.outage import Outage
from storage import fence
from storage.database import Connection, DatabaseError, Engine, first_line

log = structlog.get_logger()

LOOK_SECONDS = 5.0
"""How often a process looks whether its database was exchanged, and says again that it was."""

BEHIND = "the database is behind what its processes have seen: it was restored from a backup"
EXCHANGED = (
    "sends were started on another server, timeline or database: a standby took over, or a backup "
    "was restored"
)


class FencedError(Exception):
    """No message may be handed over; the message says what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"No message is handed over: {reason}. What the database holds as pending may have "
            "gone out already. See docs/backup.md, then run: layby restore-fence"
        )


class Fence:
    """What one process knows of its database."""

    def __init__(self, engine: Engine, redis_url: str) -> None:
        self._engine = engine
        # Sends wait for its answer, and can do without: no retries.
        self._client = redis.Redis.from_url(
            redis_url,
            socket_timeout=1,
            socket_connect_timeout=1,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Outage("redis")
        self._database = Outage("database")
        self._key: str | None = None
        self._again = Deadline(0.0)
        self._reason: str | None = None
        self.seen = 0
        """The highest epoch: what has a lower one is older than this process."""

    def check(self) -> None:
        """Raise FencedError if no send may start."""
        if (reason := self.look()) is not None:
            raise FencedError(reason)

    def holds(self) -> bool:
        """Whether no send may start, as far as is known for a few seconds; said in the log."""
        if self._again.passed:
            self._again = Deadline.after(LOOK_SECONDS)
            try:
                self._reason = self.look()
                self._database.over()
            except DatabaseError as error:
                self._database.away(first_line(error))
            if self._reason is not None:
                log.error("fenced", reason=str(FencedError(self._reason)))
        return self._reason is not None

    def look(self) -> str | None:
        """Why no send may start; noticed once, it holds for everyone."""
        # In this order: the database is never behind what was read from Redis before.
        remembered = self._remembered() or self.seen
        with self._engine.begin() as connection:
            found = fence.read_fence(connection)
            reason = found.held or self._sign(found, remembered)
            if reason is not None and found.held is None:
                fence.hold(connection, reason)
        if reason is None:
            self._remember(found.epoch)
        return reason

    def beat(self) -> None:
        """Begin the next epoch, and let everyone know; not without knowing the last one."""
        remembered = self._remembered()
        if remembered is None:
            return
        with self._engine.begin() as connection:
            epoch = fence.beat(connection, remembered)
        if epoch is not None:
            self._remember(epoch)

    def lift(self, connection: Connection) -> int:
        """Let sends start on this database from the commit on; the caller has seen to it."""
        return fence.lift(connection, self._remembered() or self.seen)

    def lifted(self, epoch: int) -> None:
        """Say so, once it is committed."""
        self._remember(epoch)
        self._reason = None

    def _sign(self, found: fence.Fence, remembered: int) -> str | None:
        if found.server != found.here:
            return EXCHANGED
        return BEHIND if found.epoch < remembered else None

    def _remembered(self) -> int | None:
        """The highest epoch that this process or Redis knows of; None: Redis does not answer."""
        try:
            kept: Any = self._client.get(self._name())
        except redis.RedisError as error:
            self._redis.away(str(error))
            return None
        self._redis.over()
        return max(self.seen, int(kept or 0))

    def _remember(self, epoch: int) -> None:
        self.seen = max(self.seen, epoch)
        try:
            self._client.eval(_RAISE, 1, self._name(), epoch)
        except redis.RedisError as error:
            self._redis.away(str(error))

    def _name(self) -> str:
        if self._key is None:
            with self._engine.begin() as connection:
                self._key = f"layby:epoch:{fence.read_fence(connection).id}"
        return self._key


_RAISE = """
    if tonumber(ARGV[1]) > tonumber(redis.call('GET', KEYS[1]) or '0') then
        redis.call('SET', KEYS[1], ARGV[1])
    end
"""
