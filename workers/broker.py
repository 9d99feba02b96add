"""The bell: dramatiq over Redis. A message says where work is due, and never carries any.

Losing one costs at most a tick; one too many finds nothing to do. Delays, retries and results are
in the database, so none of dramatiq's own is used.
"""

from typing import Any, Protocol

import dramatiq
import redis
import structlog
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware, Retries
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from workers.consumer import WokenBroker, wake

log = structlog.get_logger()

LIFECYCLE = "lifecycle"
BULK = "bulk"
APPLY = "apply_waiting"

_RING_LIVES_SECONDS = 5
"""How long a ring that nobody answered keeps others from being made."""

_ANSWER_LIVES_SECONDS = 86_400
"""How long it is known when work was last begun: longer than any ring waits."""


class BrokerUnreachableError(Exception):
    """Redis does not answer; the message names it and says what to do."""


class Bell(Protocol):
    """What rings for work. Failing to ring is no error: the next tick rings again."""

    def waiting(self, account: str, *, bulk: bool = False) -> None:
        """Commands of an account wait to be applied: single ones, or bulk ones."""

    def due(self, account: str, channel: str) -> None:
        """Sends of an account are due on a channel."""


def connect_redis(url: str) -> redis.Redis:
    """A client that survives a stall; a broker built from a URL would lose acknowledgements."""
    return redis.Redis.from_url(
        url,
        socket_timeout=5,
        socket_connect_timeout=5,
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=5, base=0.5), 8),
    )


def connect_redis_impatiently(url: str) -> redis.Redis:
    """A client for those who ring while somebody waits for an answer: what is lost, a tick finds.

    It would hold the door shut for half a minute a ring, while Redis is away, to be patient here.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=1,
        socket_connect_timeout=1,
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=0.05, base=0.05), 1),
    )


def check_redis(url: str) -> str:
    """The server's name and version; raises BrokerUnreachableError."""
    client = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
    try:
        info = client.info("server")
    except redis.RedisError as error:
        where = url.rsplit("@", 1)[-1]
        raise BrokerUnreachableError(
            f"Cannot reach Redis at {where}: {error}. Start it, or correct LAYBY_REDIS_URL; "
            "unset, Layby starts a private one."
        ) from None
    finally:
        client.close()
    name = "Valkey" if "valkey_version" in info else "Redis"
    return f"{name} {info.get('valkey_version', info['redis_version'])}"


def make_broker(client: redis.Redis) -> RedisBroker:
    """A broker with nothing but the bookkeeping: no retries, no time limits, no pipelines."""
    middleware: list[Middleware] = [Retries(max_retries=0)]
    broker = WokenBroker(  # type: ignore[no-untyped-call] # dramatiq's own is untyped
        client=client, namespace="layby", middleware=middleware, dead_message_ttl=60_000
    )
    for queue in (LIFECYCLE, BULK, "email", "sms"):
        broker.declare_queue(queue)
    return broker


class RedisBell:
    """Rings through dramatiq, one outstanding ring for each piece of work.

    Rings are numbered. Where they wait for longer than a ring lives, the same work is rung for
    again, behind the first; begun by the first, it makes the others idle, so that nobody has two
    turns in a round.
    """

    def __init__(self, broker: RedisBroker) -> None:
        self._broker = broker
        self._client: redis.Redis = broker.client

    def waiting(self, account: str, *, bulk: bool = False) -> None:
        queue, actor = (BULK, BULK) if bulk else (LIFECYCLE, APPLY)
        self._ring(f"{queue}:{account}", queue, actor, account)

    def due(self, account: str, channel: str) -> None:
        self._ring(f"{channel}:{account}", channel, channel, account, channel)

    def idle(self, what: str, ring: int) -> bool:
        """Whether the work was begun after this ring was made, so that there is nothing to do."""
        try:
            known: Any = self._client.mget(f"layby:begun:{what}", "layby:rings")
        except redis.RedisError:
            return False
        begun, last = (int(one or 0) for one in known)
        # More than there were: Redis has lost its count, and nothing can be said.
        return 0 < ring <= begun <= last

    def answered(self, what: str) -> None:
        """Lets the next ring through: before one looks for work, or else a ring can be lost."""
        try:
            last = int(self._client.get("layby:rings") or 0)
            with self._client.pipeline(transaction=True) as pipeline:
                pipeline.set(f"layby:begun:{what}", last, ex=_ANSWER_LIVES_SECONDS)
                pipeline.delete(f"layby:ring:{what}")
                pipeline.execute()
        except redis.RedisError as error:
            log.warning("ring_not_cleared", reason=str(error))

    def _ring(self, what: str, queue: str, actor: str, *args: object) -> None:
        key = f"layby:ring:{what}"
        try:
            if not self._client.set(key, b"1", nx=True, ex=_RING_LIVES_SECONDS):
                return
            number = self._client.incr("layby:rings")
            message: dramatiq.Message[None] = dramatiq.Message(
                queue_name=queue, actor_name=actor, args=args, kwargs={"ring": number}, options={}
            )
            self._broker.enqueue(message)
            wake(self._client, queue)
        except (redis.RedisError, dramatiq.errors.BrokerConnectionError) as error:
            log.warning("bell_not_rung", work=what, reason=str(error))
