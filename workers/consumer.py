"""A queue's consumer that is woken by a ring instead of looking for one again and again.

dramatiq's own sleeps between looks: what a ring waits is half of that, and an idle process looks
all the time. Beside each message a ring leaves a token, and whoever takes it looks at once.
"""

import time

import redis
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed

_WAIT_SECONDS = 0.25
"""How long without a token until it looks all the same: one may be lost with its taker."""

_BUSY_SECONDS = 0.025
_TOKENS_LIVE_SECONDS = 60
_MOST_TOKENS = 1000


def wake(client: redis.Redis, queue: str) -> None:
    """Let one consumer of a queue look at once."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.rpush(_tokens(queue), b"1")
        pipeline.ltrim(_tokens(queue), 0, _MOST_TOKENS)
        pipeline.expire(_tokens(queue), _TOKENS_LIVE_SECONDS)
        pipeline.execute()


def _tokens(queue: str) -> str:
    return f"layby:woken:{queue}"


class WokenConsumer(_RedisConsumer):
    """dramatiq's consumer, which waits for a token where that one sleeps."""

    def __init__(self, broker: RedisBroker, queue_name: str, prefetch: int, _: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout=1)  # type: ignore[no-untyped-call] # dramatiq's own is untyped

    def __next__(self) -> MessageProxy | None:
        message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call] # see above
        if message is None:
            self._wait()
        return message

    def _wait(self) -> None:
        if self.outstanding_message_count >= self.prefetch:
            time.sleep(_BUSY_SECONDS)
            return
        try:
            self.broker.client.blpop([_tokens(self.queue_name)], timeout=_WAIT_SECONDS)
        except redis.ConnectionError as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call] # see above


class WokenBroker(RedisBroker):
    """dramatiq over Redis, with consumers that are woken."""

    @property
    def consumer_class(self) -> type[WokenConsumer]:
        return WokenConsumer
