"""A queue's consumer that is woken by a ring instead of looking for one again and again.

dramatiq's own sleeps between looks: what a ring waits is half of that, and an idle process looks
all the time. Beside each message a ring leaves a token, and whoever takes it looks at once.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import Any

import redis
from dramatiq import Message
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed

from config.outage import Outage

_WAIT_SECONDS = 0.25
"""How long without a token until it looks all the same: one may be lost with its taker."""

_TOKENS_LIVE_SECONDS = 60
_MOST_TOKENS = 1000


def _tokens(queue: str) -> str:
    return f"layby:woken:{queue}"


class WokenConsumer(_RedisConsumer):
    """dramatiq's consumer, which waits for a token, or for room, where that one sleeps."""

    def __init__(self, broker: RedisBroker, queue_name: str, prefetch: int, _: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout=1)  # type: ignore[no-untyped-call] # dramatiq's own is untyped
        self._done = threading.Event()

    def __next__(self) -> MessageProxy | None:
        self._done.clear()
        try:
            message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call] # see above
            if message is None:
                self._wait()
        except ConnectionClosed as error:
            self.broker.redis.away(str(error))
            raise
        self.broker.redis.over()
        return message

    def ack(self, message: MessageProxy) -> None:
        super().ack(message)  # type: ignore[no-untyped-call] # see above
        self._done.set()

    def nack(self, message: MessageProxy) -> None:
        super().nack(message)  # type: ignore[no-untyped-call] # see above
        self._done.set()

    def _wait(self) -> None:
        if self.outstanding_message_count >= self.prefetch:
            self._done.wait(_WAIT_SECONDS)
            return
        try:
            self.broker.client.blpop([_tokens(self.queue_name)], timeout=_WAIT_SECONDS)
        except redis.ConnectionError as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call] # see above


class WokenBroker(RedisBroker):
    """dramatiq over Redis, with consumers that are woken."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call] # dramatiq's own is untyped
        self.redis = Outage("redis")

    @property
    def consumer_class(self) -> type[WokenConsumer]:
        return WokenConsumer

    def enqueue_all(self, messages: Sequence[Message[None]]) -> None:
        """Enqueue many in one go, each by dramatiq's own `enqueue`, and let consumers look.

        Against that one by one: middleware hears that all were enqueued before they are sent.
        Ours is not concerned.
        """
        with self.client.pipeline(transaction=False) as pipeline:
            piped = copy(self)
            dispatch = partial(self.scripts["dispatch"], client=pipeline)
            piped.scripts = {**self.scripts, "dispatch": dispatch}
            for message in messages:
                piped.enqueue(message)
            for queue, number in Counter(one.queue_name for one in messages).items():
                pipeline.rpush(_tokens(queue), *[b"1"] * number)
                pipeline.ltrim(_tokens(queue), 0, _MOST_TOKENS)
                pipeline.expire(_tokens(queue), _TOKENS_LIVE_SECONDS)
            pipeline.execute()
