"""A consumer that holds all the rings it may have looks again once one of them is answered."""

import threading
from collections.abc import Callable

import pytest
import redis
from dramatiq.broker import MessageProxy

from workers import consumer as consumer_
from workers.broker import RedisBell, make_broker
from workers.consumer import WokenConsumer

Answer = Callable[[WokenConsumer, MessageProxy], None]
BOUND_SECONDS = 10


class Waited(threading.Event):
    """Tells when somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.begun.set()
        return super().wait(timeout)


@pytest.mark.parametrize("answer", [WokenConsumer.ack, WokenConsumer.nack])
def test_consumer_without_room_looks_again_once_a_ring_is_answered(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    """And not by the time, which would bound how many accounts a process serves a second."""
    monkeypatch.setattr(consumer_, "_WAIT_SECONDS", 3600)
    broker = make_broker(redis_client)
    RedisBell(broker).due("acme", "email")
    consumer = broker.consume("email", prefetch=1, timeout=1)
    assert isinstance(consumer, WokenConsumer)
    held, done = next(consumer), Waited()
    assert held is not None
    monkeypatch.setattr(consumer, "_done", done)
    looked: list[MessageProxy | None] = []
    looks = threading.Thread(target=lambda: looked.append(next(consumer)), daemon=True)
    looks.start()
    assert done.begun.wait(BOUND_SECONDS)
    answer(consumer, held)
    looks.join(BOUND_SECONDS)
    assert looked == [None]
