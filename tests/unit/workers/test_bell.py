"""Rings: many at once, in order, and each made once for as long as it stands in line."""

import json
from itertools import count

import pytest
import redis
from structlog.testing import capture_logs

from workers import broker as broker_
from workers.broker import (
    BULK,
    LIFECYCLE,
    RedisBell,
    Ring,
    connect_redis_impatiently,
    make_broker,
)
from workers.consumer import WokenBroker


@pytest.fixture
def broker(redis_client: redis.Redis) -> WokenBroker:
    return make_broker(redis_client)


@pytest.fixture
def bell(broker: WokenBroker) -> RedisBell:
    return RedisBell(broker)


def fetched(broker: WokenBroker, queue: str, most: int = 100) -> list[tuple[str, list[str], int]]:
    """What a consumer of a queue is given: actor, arguments and number."""
    messages = [json.loads(one) for one in broker.do_fetch(queue, most)]
    return [(one["actor_name"], one["args"], one["kwargs"]["ring"]) for one in messages]


def test_many_are_rung_for_in_order_over_slices_each_in_its_queue(
    redis_client: redis.Redis,
    broker: WokenBroker,
    bell: RedisBell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And as many consumers are woken."""
    monkeypatch.setattr(broker_, "_AT_ONCE", 2)
    number = count(1)
    bell.ring(
        [
            Ring(LIFECYCLE, "a"),
            Ring(BULK, "a"),
            Ring("email", "b"),
            Ring("sms", "b"),
            Ring("email", "a"),
            Ring("email", "b"),
        ]
    )
    assert redis_client.llen("layby:woken:email") == 2
    assert fetched(broker, LIFECYCLE) == [("apply_waiting", ["a"], next(number))]
    assert fetched(broker, BULK) == [("bulk", ["a"], next(number))]
    emails = [("email", ["b", "email"], 3), ("email", ["a", "email"], 5)]
    assert fetched(broker, "email") == emails
    assert fetched(broker, "sms") == [("sms", ["b", "sms"], 4)]


def test_ring_lives_on_while_it_stands_in_line(
    redis_client: redis.Redis, broker: WokenBroker, bell: RedisBell
) -> None:
    """However long that is: else ten thousand accounts are rung for again every five seconds."""
    for account in ("a", "b", "c"):
        bell.due(account, "email")
    assert fetched(broker, "email", 1) == [("email", ["a", "email"], 1)]
    assert bell.answered("email:a", 1)
    redis_client.expire("layby:ring:email:b", 1)
    bell.due("b", "email")
    assert redis_client.ttl("layby:ring:email:b") == 5
    assert redis_client.llen("layby:email") == 2


def test_ring_that_its_queue_has_passed_ends(
    redis_client: redis.Redis, broker: WokenBroker, bell: RedisBell
) -> None:
    """It was lost with whoever had it: one behind it in the line was answered."""
    for account in ("lost", "b", "c"):
        bell.due(account, "email")
    fetched(broker, "email", 2)
    assert bell.answered("email:b", 2)
    redis_client.expire("layby:ring:email:lost", 1)
    bell.due("lost", "email")
    assert redis_client.ttl("layby:ring:email:lost") == 1


def test_ring_ends_when_its_queue_is_empty(
    redis_client: redis.Redis, broker: WokenBroker, bell: RedisBell
) -> None:
    """It never came to be in line, or whoever took it was killed."""
    for account in ("a", "lost"):
        bell.due(account, "email")
    fetched(broker, "email")
    assert bell.answered("email:a", 1)
    redis_client.expire("layby:ring:email:lost", 1)
    bell.due("lost", "email")
    assert redis_client.ttl("layby:ring:email:lost") == 1


def test_queue_that_takes_no_ring_keeps_none_from_another(
    redis_client: redis.Redis, broker: WokenBroker, bell: RedisBell
) -> None:
    """Of rings that failed together some were made; who rings is told once, and goes on."""
    redis_client.set("layby:email.msgs", "of another type")
    with capture_logs() as logs:
        bell.ring([Ring("email", "a"), Ring("sms", "a"), Ring("email", "b")])
    assert [(one["event"], one["first"], one["rings"]) for one in logs] == [
        ("bell_not_rung", "email:a", 3)
    ]
    assert fetched(broker, "sms") == [("sms", ["a", "sms"], 2)]


def test_redis_that_is_away_is_told_of_once_however_many_are_rung_for() -> None:
    """One attempt, not one for each account: thousands would keep a tick for hours."""
    bell = RedisBell(make_broker(connect_redis_impatiently("redis://127.0.0.1:1")))
    with capture_logs() as logs:
        bell.ring(Ring("email", str(account)) for account in range(2000))
    assert [(one["event"], one["rings"]) for one in logs] == [("bell_not_rung", 2000)]
