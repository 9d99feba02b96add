"""The processes of the Procfile: each runs until it is told to stop, and finishes what is open."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dramatiq
import structlog

from channels.configure import channel_from_urls
from domain.message import Channel
from ops.installation import Installation, home_of
from scheduler.run import Ticker
from workers.actors import declare_delivery, declare_lifecycle
from workers.broker import LIFECYCLE, RedisBell
from workers.delivery import Delivery
from workers.desk import Desk
from workers.intake import Intake

log = structlog.get_logger()

LIFECYCLE_THREADS = 4
DELIVERY_THREADS = 4
STOP_WITHIN_MILLISECONDS = 35_000
"""Longer than a hand-over: what is handed over is settled before the process ends."""

_POLL_MILLISECONDS = 25
"""How long an idle queue is left alone: what a ring waits on average is half of it."""


def run_lifecycle(installation: Installation) -> None:
    """Apply commands."""
    broker = installation.broker()
    declare_lifecycle(broker, RedisBell(broker), installation.engine)
    with _stop_signal() as stopping, _consuming(broker, {LIFECYCLE}, LIFECYCLE_THREADS):
        stopping.wait()


def run_delivery(installation: Installation) -> None:
    """Deliver what is due."""
    settings = installation.settings
    urls = {Channel.EMAIL: settings.email_url, Channel.SMS: settings.sms_url}
    desks = {channel: Desk(channel_from_urls(url, channel)) for channel, url in urls.items()}
    test_desks = {
        channel: _test_desk(installation, channel, desks[channel], url)
        for channel, url in urls.items()
    }
    broker = installation.broker()
    with _stop_signal() as stopping:
        delivery = Delivery(
            installation.engine,
            desks,
            test_desks,
            installation.key,
            installation.name(),
            stopping.is_set,
        )
        declare_delivery(broker, RedisBell(broker), delivery)
        queues = {channel.value for channel in Channel}
        with _consuming(broker, queues, DELIVERY_THREADS):
            stopping.wait()
        for desk in {*desks.values(), *test_desks.values()}:
            desk.close()


def _test_desk(installation: Installation, channel: Channel, live: Desk, url: str) -> Desk:
    """Where a test account's messages go: to files, wherever those of live accounts go."""
    if url.startswith("file:"):
        return live
    folder = home_of(installation.settings) / "outbox-of-test-accounts"
    return Desk(channel_from_urls(f"file://{folder}", channel))


def run_scheduler(installation: Installation) -> None:
    """Tick."""
    ticker = Ticker(installation.engine, installation.bell(), installation.name())
    with _stop_signal() as stopping:
        ticker.start()
        stopping.wait()
        ticker.stop()


def run_intake(installation: Installation) -> None:
    """Take commands in from the stream."""
    with _stop_signal() as stopping:
        intake = Intake(
            installation.redis(), installation.engine, installation.bell(), installation.name()
        )
        intake.run(stopping.is_set, lambda seconds: _pause(stopping, seconds))


PROCESSES: dict[str, Callable[[Installation], None]] = {
    "lifecycle": run_lifecycle,
    "delivery": run_delivery,
    "scheduler": run_scheduler,
    "intake": run_intake,
}


def _pause(stopping: threading.Event, seconds: float) -> None:
    stopping.wait(seconds)


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """Set by SIGTERM and SIGINT; a second one ends the process at once."""
    stopping = threading.Event()

    def stop(number: int, _: object) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        stopping.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    log.info("started")
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        log.info("stopped")


@contextmanager
def _consuming(broker: dramatiq.Broker, queues: set[str], threads: int) -> Iterator[None]:
    worker = dramatiq.Worker(
        broker, queues=queues, worker_threads=threads, worker_timeout=_POLL_MILLISECONDS
    )
    worker.start()
    try:
        yield
    finally:
        worker.stop(timeout=STOP_WITHIN_MILLISECONDS)
