"""The actors: what a ring sets going. Each is a few lines beside its plain function."""

from collections.abc import Callable
from typing import TypeVar

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from config.outage import Outage
from domain.message import Channel
from storage.database import DatabaseError, Engine, first_line, is_lost
from workers.broker import APPLY, BULK, LIFECYCLE, RedisBell
from workers.bulk import apply_bulk
from workers.delivery import Delivery, deliver
from workers.lifecycle import Applied, apply_waiting
from workers.turns import Seats

T = TypeVar("T")


def declare_lifecycle(broker: RedisBroker, bell: RedisBell, engine: Engine) -> None:
    """The actor that applies commands."""
    seats, database = Seats(), Outage("database")

    def apply(account: str, ring: int = 0) -> None:
        with seats.seat(account) as free:
            if not (bell.answered(f"{LIFECYCLE}:{account}", ring) and free):
                return
            applied = _turn(database, lambda: apply_waiting(engine, account))
        if applied is not None:
            _go_on(bell, account, applied, bulk=False)

    dramatiq.actor(actor_name=APPLY, queue_name=LIFECYCLE, broker=broker)(apply)


def declare_bulk(broker: RedisBroker, bell: RedisBell, engine: Engine) -> None:
    """The actor that applies bulk commands."""
    database = Outage("database")

    def apply(account: str, ring: int = 0) -> None:
        work = f"{BULK}:{account}"
        if bell.idle(work, ring):
            return
        applied = _turn(database, lambda: apply_bulk(engine, account))
        # Only now: two workers on one account would wait for each other at every chunk. A ring
        # that is lost by it costs a tick.
        bell.answered(work)
        if applied is not None:
            _go_on(bell, account, applied, bulk=True)

    dramatiq.actor(actor_name=BULK, queue_name=BULK, broker=broker)(apply)


def _turn(database: Outage, work: Callable[[], T]) -> T | None:
    """Do a turn's work; None: the database is away. Then the next tick rings for it again."""
    try:
        done = work()
    except DatabaseError as error:
        if not is_lost(error):
            raise
        database.away(first_line(error))
        return None
    database.over()
    return done


def _go_on(bell: RedisBell, account: str, applied: Applied, *, bulk: bool) -> None:
    """Ring for what a turn left, and for what it made due."""
    if applied.more:
        bell.waiting(account, bulk=bulk)
    if applied.travelled:
        for channel in Channel:
            bell.due(account, channel.value)


def declare_delivery(broker: RedisBroker, bell: RedisBell, delivery: Delivery) -> None:
    """The actors that deliver what is due, one for each channel, named like its queue."""
    seats = {channel.value: Seats() for channel in Channel}
    database = Outage("database")

    def serve(account: str, channel: str, ring: int = 0) -> None:
        with seats[channel].seat(account) as free:
            if not (bell.answered(f"{channel}:{account}", ring) and free):
                return
            more = _turn(database, lambda: deliver(delivery, account, Channel(channel)))
        if more:
            bell.due(account, channel)

    for channel in Channel:
        queue = channel.value
        dramatiq.actor(actor_name=queue, queue_name=queue, broker=broker)(serve)
