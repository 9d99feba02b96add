"""Two schedulers at once: each tick is done by one, each ring is made once, no send is doubled."""

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from functools import partial

import pytest
import redis
from apscheduler.schedulers import base
from concurrency.interleave import BOUND_SECONDS, Interleaving, planted, until
from concurrency.invariants import broken
from harness import Layby, numbered
from sqlalchemy import text

from domain.message import Channel
from ops.servers import Servers
from scheduler import run as run_
from scheduler.run import LEASE_SECONDS, Ticker
from scheduler.ticks import ring
from storage.database import Engine
from storage.leases import hold_lease, release_leases
from storage.retention import Keep
from workers.broker import RedisBell, make_broker
from workers.delivery import deliver
from workers.fence import Fence

NOBODY_ELSES = (
    "WHERE l.holder = %(holder)s OR l.until < clock_timestamp() "
    "OR l.until > excluded.until + make_interval(secs => %(seconds)s)"
)


def hold(engine: Engine, holder: str, seconds: float = LEASE_SECONDS) -> bool:
    with engine.begin() as connection:
        return hold_lease(connection, "ring", holder, seconds)


def expire(engine: Engine) -> None:
    """Let the time of every lease pass."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE leases SET until = clock_timestamp() - interval '1 ms'"))


def both_ask_at_once(engine: Engine, between: Interleaving) -> list[bool]:
    first = between.stopped(lambda: hold(engine, "first"), having="INSERT INTO leases")
    second = between.waiting(lambda: hold(engine, "second"), for_=first)
    return [first.go().result(), second.result()]


def test_lease_that_two_ask_for_at_once_is_held_by_one(
    engine: Engine, between: Interleaving
) -> None:
    assert both_ask_at_once(engine, between) == [True, False]
    assert hold(engine, "first")
    assert not hold(engine, "second")


def test_lease_without_its_condition_is_held_by_both(engine: Engine, between: Interleaving) -> None:
    """Planted: whoever asks last has it."""
    with planted(engine, NOBODY_ELSES, ""):
        assert both_ask_at_once(engine, between) == [True, True]


def test_lease_that_has_passed_is_taken_over_by_one_of_two(
    engine: Engine, between: Interleaving
) -> None:
    """Its holder was killed: the next one that asks after the lease's time has it."""
    assert hold(engine, "killed")
    assert not hold(engine, "first")
    expire(engine)
    assert both_ask_at_once(engine, between) == [True, False]
    assert not hold(engine, "killed")


def test_lease_is_renewed_by_its_holder_while_another_asks(
    engine: Engine, between: Interleaving
) -> None:
    hold(engine, "first", seconds=1)
    renewal = between.stopped(lambda: hold(engine, "first", 1000), having="INSERT INTO leases")
    other = between.waiting(lambda: hold(engine, "other", 1000), for_=renewal)
    assert (renewal.go().result(), other.result()) == (True, False)


def test_lease_given_before_the_clock_was_set_back_is_over(engine: Engine) -> None:
    """Its holder was killed, and an hour lies between: nobody would tick for that hour."""
    assert hold(engine, "killed")
    with engine.begin() as connection:
        connection.execute(text("UPDATE leases SET until = until + interval '1 hour'"))
    assert hold(engine, "first")
    assert not hold(engine, "second")


def test_scheduler_that_stops_gives_its_leases_to_the_other_and_no_others(engine: Engine) -> None:
    hold(engine, "first")
    with engine.begin() as connection:
        hold_lease(connection, "sweep", "second", LEASE_SECONDS)
        release_leases(connection, "first")
    assert hold(engine, "second")
    with engine.connect() as connection:
        held = connection.execute(text("SELECT name, holder FROM leases ORDER BY 1")).all()
    assert [tuple(row) for row in held] == [("ring", "second"), ("sweep", "second")]


class Ticks:
    """Who did each tick that two schedulers were asked for."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []
        self._guard = threading.Lock()

    def count(self, holder: str, name: str) -> None:
        with self._guard:
            self.done.append((holder, name))

    def of(self, name: str) -> Counter[str]:
        with self._guard:
            return Counter(holder for holder, done in self.done if done == name)


class NamedBell:
    """A bell that only knows whose it is."""

    def __init__(self, holder: str) -> None:
        self.holder = holder


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Ticks:
    """Ticks as fast as they come, that only count; the leases and the clockwork are real."""
    counted = Ticks()
    monkeypatch.setattr(run_, "RING_SECONDS", 0.02)
    monkeypatch.setattr(run_, "ring", lambda _, bell: counted.count(bell.holder, "ring"))
    monkeypatch.setattr(run_, "sweep", lambda _: counted.count("", "sweep"))
    monkeypatch.setattr(run_, "LEASE_SECONDS", 60.0)  # no pause of the machine ends one
    return counted


class Schedulers:
    """Real schedulers by name, on one database."""

    def __init__(self, engine: Engine, redis_url: str) -> None:
        self._engine = engine
        self._fence = Fence(engine, redis_url)
        self._running: dict[str, Ticker] = {}

    def start(self, name: str) -> None:
        bell = NamedBell(name)
        self._running[name] = Ticker(self._engine, bell, name, self._fence, Keep())  # type: ignore[arg-type] # not rung
        self._running[name].start()

    def stop(self, *names: str) -> None:
        for name in names or tuple(self._running):
            self._running.pop(name).stop()


@pytest.fixture
def schedulers(engine: Engine, servers: Servers, ticks: Ticks) -> Iterator[Schedulers]:  # noqa: ARG001 - set up first
    started = Schedulers(engine, servers.redis_url)
    yield started
    started.stop()


def test_of_two_schedulers_one_ticks_and_the_other_goes_on_when_it_stops(
    ticks: Ticks, schedulers: Schedulers, engine: Engine
) -> None:
    schedulers.start("first")
    until(lambda: ticks.of("ring")["first"] >= 3, "the first one ticks")
    schedulers.start("second")
    before = ticks.of("ring")["first"]
    until(lambda: ticks.of("ring")["first"] > before + 20, "the first one ticks on")
    assert ticks.of("ring")["second"] == 0
    schedulers.stop("first")
    with engine.connect() as connection:
        holders = connection.execute(text("SELECT DISTINCT holder FROM leases")).scalars()
        assert "first" not in set(holders)
    until(lambda: ticks.of("ring")["second"] >= 3, "the second one goes on")


def test_scheduler_takes_over_from_one_that_was_killed_once_its_lease_has_passed(
    ticks: Ticks, schedulers: Schedulers, engine: Engine
) -> None:
    """It released nothing; nobody renews its lease."""
    hold(engine, "killed", seconds=run_.LEASE_SECONDS)
    schedulers.start("next")
    until(lambda: bool(ticks.of("sweep")), "it ticks where it can")
    assert ticks.of("ring")["next"] == 0
    expire(engine)
    until(lambda: ticks.of("ring")["next"] >= 3, "it has taken over")


class SetBack(datetime):
    """The wall clock of the scheduler's machine, by so much behind."""

    by = timedelta(0)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override] # the same, but for the class
        return datetime.now(tz) - cls.by


def test_scheduler_ticks_on_when_the_wall_clock_is_set_back(
    ticks: Ticks, schedulers: Schedulers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As APScheduler counts, its next tick would come when the clock has caught up."""
    for module in (run_, base):
        monkeypatch.setattr(module, "datetime", SetBack)
    schedulers.start("first")
    until(lambda: ticks.of("ring")["first"] >= 3, "it ticks")
    monkeypatch.setattr(SetBack, "by", timedelta(hours=1))
    before = ticks.of("ring")["first"]
    until(lambda: ticks.of("ring")["first"] > before + 3, "it ticks on")


def test_two_schedulers_without_the_leases_condition_both_tick(
    ticks: Ticks, schedulers: Schedulers, engine: Engine
) -> None:
    """Planted: what the tests above would see."""
    with planted(engine, NOBODY_ELSES, ""):
        schedulers.start("first")
        schedulers.start("second")
        until(lambda: len(ticks.of("ring")) == 2, "both tick")


def messages(client: redis.Redis, queue: str) -> int:
    return int(client.llen(f"layby:{queue}"))


@pytest.fixture
def bells(redis_client: redis.Redis) -> list[RedisBell]:
    return [RedisBell(make_broker(redis_client)) for _ in range(2)]


def rung_by_both(layby: Layby, bells: list[RedisBell], between: Interleaving) -> None:
    gate = threading.Barrier(8, timeout=BOUND_SECONDS)

    def tick(bell: RedisBell) -> None:
        gate.wait()
        ring(layby.engine, bell)

    for task in [between.run(partial(tick, bell)) for bell in bells * 4]:
        task.result()


def test_what_two_schedulers_find_due_at_once_is_rung_for_once(
    people: Layby, bells: list[RedisBell], redis_client: redis.Redis, between: Interleaving
) -> None:
    """For each queue and account one ring is out, until somebody answers it."""
    people.accept("pause", customers=["ann"])
    rung_by_both(people, bells, between)
    assert (messages(redis_client, "email"), messages(redis_client, "lifecycle")) == (1, 1)
    bells[0].answered("email:acme")
    rung_by_both(people, bells, between)
    assert (messages(redis_client, "email"), messages(redis_client, "lifecycle")) == (2, 1)


def test_due_sends_go_out_once_with_two_schedulers_and_many_workers(
    layby: Layby, bells: list[RedisBell], between: Interleaving
) -> None:
    """Every ring answered by every worker at once, while both schedulers go on ringing."""
    layby.set_up()
    customers = list(numbered("c", 40))
    layby.on_schedule(*customers)
    gate = threading.Barrier(6, timeout=BOUND_SECONDS)

    def work() -> None:
        gate.wait()
        for channel in Channel:
            deliver(layby.delivery, layby.account, channel)

    def tick(bell: RedisBell) -> None:
        gate.wait()
        for _ in range(10):
            ring(layby.engine, bell)

    tasks = [between.run(work) for _ in range(4)]
    tasks += [between.run(partial(tick, bell)) for bell in bells]
    for task in tasks:
        task.result()
    assert layby.rows("SELECT state, count(*) FROM sends GROUP BY 1") == [("sent", 40)]
    assert len(layby.mails()) == 40
    assert broken(layby.engine) == {}
