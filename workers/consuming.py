"""Consuming queues: threads of its own for each, and rings in their order."""

import logging
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import dramatiq

from workers.turns import THREADS

STOP_WITHIN_MILLISECONDS = 35_000
"""Longer than a hand-over: what is handed over is settled before the process ends."""

_LOOK_MILLISECONDS = 250
"""How often an idle thread looks whether it is to stop; work wakes it at once."""


@contextmanager
def consuming(
    broker: dramatiq.Broker, queues: Collection[str], threads: int = THREADS
) -> Iterator[None]:
    """Serve these queues while this is open; at its end, what was begun is finished.

    Each has a worker of its own, so that one channel's slow provider does not hold up another's.
    """
    broker.logger.addFilter(_says_what_matters)
    workers = [
        dramatiq.Worker(
            broker, queues={queue}, worker_threads=threads, worker_timeout=_LOOK_MILLISECONDS
        )
        for queue in queues
    ]
    for worker in workers:
        worker.start()
        for consumer in worker.consumers.values():
            consumer.logger.addFilter(_says_what_matters)
    try:
        yield
    finally:
        with ThreadPoolExecutor(len(workers)) as stopping:
            list(stopping.map(lambda one: one.stop(STOP_WITHIN_MILLISECONDS), workers))


def _says_what_matters(record: logging.LogRecord) -> bool:
    said = record.getMessage()
    # Each worker has one, for the queues that are declared later: here there are none. And what a
    # Redis that is away means, its consumers tell (workers/consumer.py): it is not "critical".
    return not (
        "middleware of the same type twice" in said
        or "Consumer encountered a connection error" in said
    )
