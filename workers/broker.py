"""The bell: dramatiq over Redis. A message says where work is due, and never carries any.

Losing one costs at most a tick; one too many finds nothing to do. Delays, retries and results are
in the database, so none of dramatiq's own is used.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import dramatiq
import redis
import structlog
from dramatiq.middleware import Middleware, Retries
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from workers.consumer import WokenBroker

log = structlog.get_logger()

LIFECYCLE = "lifecycle"
BULK = "bulk"
APPLY = "apply_waiting"

_RING_LIVES_SECONDS = 5
"""How long a ring that nobody answered keeps others from being made, once it is not in line."""

_ANSWER_LIVES_SECONDS = 86_400
"""How long it is known when work was last begun: longer than any ring waits."""

_AT_ONCE = 500
"""Rings made in one go: Redis serves nobody else for the millisecond that it numbers them."""


OLDEST = 7
"""The oldest Redis that Layby is tried with. (Valkey began at that.)"""


class BrokerTooOldError(Exception):
    """The server is older than those we are tried with; the message says what to do."""


class BrokerUnreachableError(Exception):
    """Redis does not answer; the message names it and says what to do."""


class Ring(NamedTuple):
    """Where work is due: the queue that does it, and the account whose it is."""

    queue: str
    account: str

    @property
    def work(self) -> str:
        return f"{self.queue}:{self.account}"


class Bell(Protocol):
    """What rings for work. Failing to ring is no error: the next tick rings again."""

    def ring(self, rings: Iterable[Ring]) -> int:
        """Ring for many, in this order; returns for how many it could."""


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
    """The server's name and version; raises BrokerUnreachableError, BrokerTooOldError."""
    client = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
    try:
        info = client.info("server")
    except redis.RedisError as error:
        where, why = url.rsplit("@", 1)[-1], str(error).rstrip(".")
        raise BrokerUnreachableError(
            f"Cannot reach Redis at {where}: {why}. Start it, or correct LAYBY_REDIS_URL; "
            "unset, Layby starts a private one."
        ) from None
    finally:
        client.close()
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = f"{name} {info.get('valkey_version', info['redis_version'])}"
    if int(str(info["redis_version"]).split(".", 1)[0]) < OLDEST:
        raise BrokerTooOldError(
            f"{version} is too old: Layby needs Redis {OLDEST} or newer, or Valkey. Upgrade the "
            "server, or name another one in LAYBY_REDIS_URL; unset, Layby starts a private one."
        )
    return version


def make_broker(client: redis.Redis) -> WokenBroker:
    """A broker with nothing but the bookkeeping: no retries, no time limits, no pipelines."""
    middleware: list[Middleware] = [Retries(max_retries=0)]
    broker = WokenBroker(
        client=client, namespace="layby", middleware=middleware, dead_message_ttl=60_000
    )
    for queue in (LIFECYCLE, BULK, "email", "sms"):
        broker.declare_queue(queue)
    return broker


_COUNT = "layby:rings"

# In line: its queue is not empty and has not come to it yet. A lost one is passed, or the queue is
# empty behind it, and then it ends.
_NUMBER = """
local numbers = {}
for i = 2, #KEYS, 3 do
  local ring, reached, queue = KEYS[i], KEYS[i + 1], KEYS[i + 2]
  local made = redis.call('GET', ring)
  if made then
    local come_to = redis.call('GET', reached)
    if come_to and tonumber(come_to) < tonumber(made) and redis.call('EXISTS', queue) == 1 then
      redis.call('EXPIRE', ring, ARGV[1])
    end
    numbers[#numbers + 1] = 0
  else
    local number = redis.call('INCR', KEYS[1])
    redis.call('SET', ring, number, 'EX', ARGV[1])
    numbers[#numbers + 1] = number
  end
end
return numbers
"""
"""A number for each that is the only outstanding ring; 0: there is one, which lives on in line."""

# Begun by more than there were: Redis has lost its count, and nothing can be said.
_ANSWER = """
local last = tonumber(redis.call('GET', KEYS[1]) or 0)
local begun = tonumber(redis.call('GET', KEYS[2]) or 0)
local ring = tonumber(ARGV[1])
if tonumber(redis.call('GET', KEYS[4]) or 0) < ring then
  redis.call('SET', KEYS[4], ring, 'EX', ARGV[3])
end
if 0 < ring and ring <= begun and begun <= last then return 0 end
if ARGV[2] == '1' then
  redis.call('SET', KEYS[2], last, 'EX', ARGV[3])
  redis.call('DEL', KEYS[3])
end
return 1
"""
"""1: there is something to do, and (ARGV[2]) it is begun. 0: it was begun since this ring."""


class RedisBell:
    """Rings through dramatiq, one outstanding ring for each piece of work.

    Rings are numbered. Where they wait for longer than a ring lives, the same work may be rung for
    again, behind the first; begun by the first, it makes the others idle, so that nobody has two
    turns in a round.
    """

    def __init__(self, broker: WokenBroker) -> None:
        self._broker = broker
        self._client: redis.Redis = broker.client
        self._numbering = self._client.register_script(_NUMBER)
        self._answering = self._client.register_script(_ANSWER)

    def waiting(self, account: str, *, bulk: bool = False) -> None:
        """Commands of an account wait to be applied: single ones, or bulk ones."""
        self.ring([Ring(BULK if bulk else LIFECYCLE, account)])

    def due(self, account: str, channel: str) -> None:
        """Sends of an account are due on a channel."""
        self.ring([Ring(channel, account)])

    def ring(self, rings: Iterable[Ring]) -> int:
        left = list(rings)
        asked = len(left)
        try:
            while left:
                self._ring(left[:_AT_ONCE])
                del left[:_AT_ONCE]
        except (redis.RedisError, dramatiq.errors.BrokerConnectionError) as error:
            log.warning("bell_not_rung", first=left[0].work, rings=len(left), reason=str(error))
        return asked - len(left)

    def idle(self, what: str, ring: int) -> bool:
        """Whether the work was begun after this ring was made, so that there is nothing to do."""
        return not self._answer(what, ring, begin=False)

    def answered(self, what: str, ring: int = 0) -> bool:
        """Lets the next ring through: before one looks for work, or else a ring can be lost.

        False, and nothing is changed: the work was begun after this ring was made.
        """
        return self._answer(what, ring, begin=True)

    def _answer(self, what: str, ring: int, *, begin: bool) -> bool:
        queue, _, _ = what.partition(":")
        try:
            return bool(
                self._answering(
                    keys=[_COUNT, f"layby:begun:{what}", f"layby:ring:{what}", _reached(queue)],
                    args=[ring, int(begin), _ANSWER_LIVES_SECONDS],
                )
            )
        except redis.RedisError as error:
            log.warning("ring_not_cleared", reason=str(error))
            return True

    def _ring(self, rings: Sequence[Ring]) -> None:
        keys = [
            key
            for one in rings
            for key in (
                f"layby:ring:{one.work}",
                _reached(one.queue),
                f"{self._broker.namespace}:{one.queue}",
            )
        ]
        numbers = self._numbering(keys=[_COUNT, *keys], args=[_RING_LIVES_SECONDS])
        made = [(one, number) for one, number in zip(rings, numbers, strict=True) if number]
        if made:
            self._broker.enqueue_all([_message(one, number) for one, number in made])


def _reached(queue: str) -> str:
    """Where it is kept how far a queue has come: the latest of its rings that was answered."""
    return f"layby:reached:{queue}"


def _message(ring: Ring, number: int) -> dramatiq.Message[None]:
    """What the queue's actor is called with; actors are named like their queues, but for one."""
    of_commands = ring.queue in (LIFECYCLE, BULK)
    return dramatiq.Message(
        queue_name=ring.queue,
        actor_name=APPLY if ring.queue == LIFECYCLE else ring.queue,
        args=(ring.account,) if of_commands else (ring.account, ring.queue),
        kwargs={"ring": number},
        options={},
    )
