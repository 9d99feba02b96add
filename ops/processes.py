"""The processes of the Procfile: each runs until it is told to stop, and finishes what is open."""

import gc
import resource
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from channels.configure import channel_from_urls
from channels.protocol import ChannelAdapter
from domain.message import Channel
from ops.installation import Installation, home_of
from ops.stop import end_process, stop_signal
from scheduler.run import Ticker
from storage.retention import Keep
from web.address import listen
from workers.actors import declare_bulk, declare_delivery, declare_lifecycle
from workers.broker import BULK, LIFECYCLE, RedisBell
from workers.consuming import consuming
from workers.delivery import START_AT_MOST, Delivery
from workers.desk import Desk
from workers.intake import Intake
from workers.submissions import Submissions

BULK_THREADS = 2

Adapters = dict[Channel, ChannelAdapter]
Desks = dict[Channel, Desk]


def run_lifecycle(installation: Installation) -> None:
    """Apply commands."""
    broker = installation.broker()
    declare_lifecycle(broker, RedisBell(broker), installation.engine)
    _collect_less_often()
    with stop_signal() as stop, consuming(broker, {LIFECYCLE}):
        stop.wait()


def run_bulk(installation: Installation) -> None:
    """Apply commands for many customers, in chunks."""
    broker = installation.broker()
    declare_bulk(broker, RedisBell(broker), installation.engine)
    _collect_less_often()
    with stop_signal() as stop, consuming(broker, {BULK}, BULK_THREADS):
        stop.wait()


def run_delivery(installation: Installation) -> None:
    """Deliver what is due."""
    deliver_through(installation, *_adapters(installation))


def deliver_through(
    installation: Installation, live: Adapters, test: Adapters, start_at_most: int = START_AT_MOST
) -> None:
    """Deliver what is due through these adapters: a benchmark has one of its own."""
    broker = installation.broker()
    with stop_signal() as stop, _open_desks(live, test) as (desks, test_desks):
        delivery = Delivery(
            installation.engine,
            desks,
            test_desks,
            installation.key,
            installation.name(),
            start_at_most,
            stop.is_set,
            installation.fence,
        )
        declare_delivery(broker, RedisBell(broker), delivery)
        _collect_less_often()
        with consuming(broker, {channel.value for channel in Channel}):
            stop.wait()


def run_scheduler(installation: Installation) -> None:
    """Tick."""
    settings = installation.settings
    ticker = Ticker(
        installation.engine,
        installation.bell(),
        installation.name(),
        installation.fence,
        Keep(settings.keep_commands, settings.keep_ledger, settings.keep_journal),
    )
    with stop_signal() as stop:
        ticker.start()
        stop.wait()
        ticker.stop()


def run_intake(installation: Installation) -> None:
    """Take commands in: from the stream, and those submitted in SQL."""
    stream = Intake(
        installation.redis(), installation.engine, installation.bell(), installation.name()
    )
    submitted = Submissions(installation.engine, installation.impatient_bell())
    with stop_signal() as stop:
        stop.wait_beside(lambda: _beside_each_other(stop.is_set, stream.run, submitted.run))


def run_web(installation: Installation) -> None:
    """Answer HTTP."""
    # Here, because uvicorn and FastAPI take 0.4 s to import, and every command imports this file.
    from web.serve import WebServer  # noqa: PLC0415

    settings = installation.settings
    bound = listen(settings.http_host, settings.http_port)
    bell = installation.impatient_bell()
    redis_url, key = installation.servers.redis_url, installation.key
    _allow_connections()
    with stop_signal() as stop:
        server = WebServer(installation.engine, bell, redis_url, key, bound, end_process).start()
        stop.wait()
        server.stop()


def _allow_connections() -> None:
    """As many as the system lets us have: one that waits holds no thread, but a file descriptor."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


PROCESSES: dict[str, Callable[[Installation], None]] = {
    "lifecycle": run_lifecycle,
    "bulk": run_bulk,
    "delivery": run_delivery,
    "scheduler": run_scheduler,
    "intake": run_intake,
    "web": run_web,
}


def _beside_each_other(
    stopping: Callable[[], bool], *runs: Callable[[Callable[[], bool]], None]
) -> None:
    """Run each in a thread of its own; one that fails ends them all, and the process with them."""
    ended = threading.Event()

    def one(run: Callable[[Callable[[], bool]], None]) -> None:
        try:
            run(lambda: ended.is_set() or stopping())
        finally:
            ended.set()

    with ThreadPoolExecutor(len(runs)) as threads:
        for running in [threads.submit(one, run) for run in runs]:
            running.result()


def _adapters(installation: Installation) -> tuple[Adapters, Adapters]:
    """Where messages go: those of live accounts, and those of test accounts, always to files."""
    settings = installation.settings
    urls = {Channel.EMAIL: settings.email_url, Channel.SMS: settings.sms_url}
    files = f"file://{home_of(settings) / 'outbox-of-test-accounts'}"
    live = {channel: channel_from_urls(url, channel) for channel, url in urls.items()}
    test = {
        channel: live[channel] if url.startswith("file:") else channel_from_urls(files, channel)
        for channel, url in urls.items()
    }
    return live, test


@contextmanager
def _open_desks(live: Adapters, test: Adapters) -> Iterator[tuple[Desks, Desks]]:
    """One desk for each adapter; their threads must not be started before signals are held."""
    adapters = {id(one): one for one in (*live.values(), *test.values())}
    desks = {name: Desk(one) for name, one in adapters.items()}
    yield (
        {channel: desks[id(one)] for channel, one in live.items()},
        {channel: desks[id(one)] for channel, one in test.items()},
    )
    for desk in desks.values():
        desk.close()


def _collect_less_often() -> None:
    """Leave alone what lives as long as the process, and look at the rest less often.

    A batch makes tens of thousands of objects that go with it; looking through them every 700 took
    a quarter of delivery's processor time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
