"""The actors: what a ring sets going. Each is a few lines beside its plain function."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from domain.message import Channel
from storage.database import Engine
from workers.broker import APPLY, BULK, LIFECYCLE, RedisBell
from workers.bulk import apply_bulk
from workers.delivery import Delivery, deliver
from workers.lifecycle import apply_waiting


def declare_lifecycle(broker: RedisBroker, bell: RedisBell, engine: Engine) -> None:
    """The actor that applies commands."""

    def apply(account: str) -> None:
        bell.answered(f"{LIFECYCLE}:{account}")
        applied = apply_waiting(engine, account)
        if applied.more:
            bell.waiting(account)
        if applied.travelled:
            for channel in Channel:
                bell.due(account, channel.value)

    dramatiq.actor(actor_name=APPLY, queue_name=LIFECYCLE, broker=broker)(apply)


def declare_bulk(broker: RedisBroker, bell: RedisBell, engine: Engine) -> None:
    """The actor that applies bulk commands."""

    def apply(account: str) -> None:
        applied = apply_bulk(engine, account)
        # Only now: two workers on one account would wait for each other at every chunk. A ring
        # that is lost by it costs a tick.
        bell.answered(f"{BULK}:{account}")
        if applied.more:
            bell.waiting(account, bulk=True)
        if applied.travelled:
            for channel in Channel:
                bell.due(account, channel.value)

    dramatiq.actor(actor_name=BULK, queue_name=BULK, broker=broker)(apply)


def declare_delivery(broker: RedisBroker, bell: RedisBell, delivery: Delivery) -> None:
    """The actors that deliver what is due, one for each channel, named like its queue."""

    def serve(account: str, channel: str) -> None:
        bell.answered(f"{channel}:{account}")
        if deliver(delivery, account, Channel(channel)):
            bell.due(account, channel)

    for channel in Channel:
        queue = channel.value
        dramatiq.actor(actor_name=queue, queue_name=queue, broker=broker)(serve)
