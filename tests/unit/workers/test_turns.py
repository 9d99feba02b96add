"""How accounts share a process: the room at a desk, the threads, and the order of rings."""

import threading
from collections.abc import Iterator

import pytest
import redis
from harness import soon
from unit.workers.test_delivery import Answering

from config.machine_time import Deadline
from domain.message import Answer
from workers.broker import RedisBell, make_broker
from workers.desk import Desk
from workers.turns import TURN_SENDS, Seats, Turn


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Room for 50, all of it free."""
    desk = Desk(Answering(Answer.ACCEPTED))
    yield desk
    desk.close()


class Waiting:
    """Somebody who waits for room in a thread of its own."""

    def __init__(self, desk: Desk, account: str, most: int = 1000) -> None:
        self.taken: list[int] = []
        before = len(desk.waiting)
        self._thread = threading.Thread(
            target=lambda: self.taken.append(desk.reserve(most, soon(), account))
        )
        self._thread.start()
        deadline = soon()
        while self._thread.is_alive() and len(desk.waiting) == before:
            assert not deadline.passed

    def result(self) -> int:
        self._thread.join(20)
        return self.taken[0]


def test_who_wants_room_alone_has_all_of_it(desk: Desk) -> None:
    assert desk.reserve(1000, soon(), "big") == 50


def test_one_that_waits_is_given_its_share_of_what_comes_free(desk: Desk) -> None:
    """The account that holds everything and waits for more has none of it before that."""
    assert desk.reserve(1000, soon(), "big") == 50
    big, small = Waiting(desk, "big"), Waiting(desk, "small")
    desk.give_back(20, "big")
    assert small.result() == 20
    assert big.taken == []
    desk.give_back(30, "big")
    assert big.result() == 30


def test_room_is_given_in_the_order_of_the_line(desk: Desk) -> None:
    desk.reserve(1000, soon(), "big")
    first, second = Waiting(desk, "a", most=1), Waiting(desk, "b", most=1)
    desk.give_back(1, "big")
    assert first.result() == 1
    assert second.taken == []
    desk.give_back(1, "big")
    assert second.result() == 1


def test_three_that_wait_have_no_more_than_a_third_each(desk: Desk) -> None:
    desk.reserve(50, soon(), "big")
    waiting = [Waiting(desk, account) for account in ("a", "b", "c")]
    desk.give_back(50, "big")
    taken = [one.result() for one in waiting]
    assert taken[0] == 16
    assert sum(taken) <= 50
    assert min(taken) > 0


def test_who_finds_no_room_in_time_leaves_the_line(desk: Desk) -> None:
    desk.reserve(1000, soon(), "big")
    assert desk.reserve(1, Deadline.after(0), "small") == 0
    assert desk.waiting == []
    desk.give_back(50, "big")
    assert desk.reserve(1000, soon(), "big") == 50


def test_turn_ends_when_it_has_reserved_what_it_may(desk: Desk) -> None:
    """Used or not: a backlog of what is skipped makes no longer a turn than one that is sent."""
    turn = Turn(desk, "big")
    reserved = 0
    while not turn.over:
        room = turn.reserve(30, soon())
        reserved += room
        turn.give_back(room)
    assert reserved == TURN_SENDS


def test_one_account_never_takes_all_threads() -> None:
    seats = Seats(4)
    with seats.seat("big") as first, seats.seat("big") as second, seats.seat("big") as third:
        assert (first, second, third) == (True, True, True)
        with seats.seat("big") as fourth, seats.seat("small") as other:
            assert (fourth, other) == (False, True)
    with seats.seat("big") as again:
        assert again


def test_ring_made_before_the_work_was_begun_is_idle(redis_client: redis.Redis) -> None:
    """It came twice, because the first waited longer than a ring lives."""
    bell = RedisBell(make_broker(redis_client))
    numbers = []
    for _ in range(2):
        bell.due("acme", "email")
        numbers.append(int(redis_client.get("layby:rings") or 0))
        redis_client.delete("layby:ring:email:acme")
    assert not bell.idle("email:acme", numbers[0])
    bell.answered("email:acme")
    assert bell.idle("email:acme", numbers[1])
    bell.due("acme", "email")
    assert not bell.idle("email:acme", numbers[1] + 1)


def test_ring_counts_when_redis_has_lost_its_count(redis_client: redis.Redis) -> None:
    bell = RedisBell(make_broker(redis_client))
    redis_client.set("layby:begun:email:acme", 1000)
    bell.due("acme", "email")
    assert not bell.idle("email:acme", 1)
