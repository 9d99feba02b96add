"""The actors: what a ring sets going. Each is a few lines beside its plain function."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from domain.message import Channel
from storage.database import Engine
from workers.broker import APPLY, BULK, LIFECYCLE, RedisBell
from workers.bulk import apply_bulk
from workers.delivery import Delivery, deliver
from workers.lifecycle import Applied, apply_waiting
from workers.turns import Seats


def declare_lifecycle(broker: RedisBroker, bell: RedisBell, engine: Engine) -> None:
    """The actor that applies commands."""
    seats = Seats()

    def apply(account: str, ring: int = 0) -> None:
        with seats.seat(account) as free:
            if not (bell.answered(f"{LIFECYCLE}:{account}", ring) and free):
                return
            applied = apply_waiting(engine, account)
        _go_on(bell, account, applied, bulk=False)

    dramatiq.actor(actor_name=APPLY, queue_name=LIFECYCLE, broker=broker)(apply)


def declare_bulk(broker: RedisBroker, bell: RedisBell, engine: Engine) -> None:
    """The actor that applies bulk commands."""

    def apply(account: str, ring: int = 0) -> None:
        work = f"{BULK}:{account}"
        if bell.idle(work, ring):
            return
        applied = apply_bulk(engine, account)
        # Only now: two workers on one account would wait for each other at every chunk. A ring
        # that is lost by it costs a tick.
        bell.answered(work)
        _go_on(bell, account, applied, bulk=True)

    dramatiq.actor(actor_name=BULK, queue_name=BULK, broker=broker)(apply)


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

    def serve(account: str, channel: str, ring: int = 0) -> None:
        with seats[channel].seat(account) as free:
            if not (bell.answered(f"{channel}:{account}", ring) and free):
                return
            more = deliver(delivery, account, Channel(channel))
        if more:
            bell.due(account, channel)

    for channel in Channel:
        queue = channel.value
        dramatiq.actor(actor_name=queue, queue_name=queue, broker=broker)(serve)
