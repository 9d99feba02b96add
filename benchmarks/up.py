"""`up`: from `layby up --sample` in an empty folder to everybody's first email in the outbox.

Beside PostgreSQL's own share of it: initdb and start alone, in another empty folder, by turns. The
schedule `at-once` writes to each of them, five seconds after they are put on it; that wait is in
the value. What else of the sample is due by then, the hour of the day decides.
"""

import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from benchmarks.figure import Figure, beside
from benchmarks.ground import BenchmarkError, Ground, Logs, without_settings
from benchmarks.sizes import Size
from config.machine_time import Deadline, machine_seconds
from ops.family import Family
from ops.sample import ACTIVE
from ops.servers import private_servers

FIGURES = ("up",)
_PATIENCE_SECONDS = 120


def measure(ground: Ground, size: Size, wanted: Collection[str]) -> dict[str, Figure]:
    """Seconds of both."""
    del wanted
    up, postgres = [], []
    for _ in range(size.rounds):
        ground.settle_down()
        with _empty_folder() as folder:
            up.append(_up(folder))
        with _empty_folder() as folder:
            postgres.append(_postgres(folder, ground.servers.redis_url))
    return {"up": beside(up, postgres, "s", "", rounds=up)}


def _up(folder: Path) -> float:
    outbox, logs = folder / "outbox", Logs()
    environ = without_settings() | {
        "LAYBY_HOME": str(folder),
        "LAYBY_EMAIL_URL": f"file://{outbox}",
        "LAYBY_SMS_URL": f"file://{outbox}",
    }
    began = machine_seconds()
    family = Family(["up"], environ, logs, "--sample")
    try:
        _wait_for_messages(outbox / "email" / "new", logs)
        return machine_seconds() - began
    finally:
        family.stop()


def _wait_for_messages(mailbox: Path, logs: Logs) -> None:
    patience = Deadline.after(_PATIENCE_SECONDS)
    while not (mailbox.exists() and len([*mailbox.iterdir()]) >= ACTIVE):
        logs.check()
        if patience.passed:
            raise BenchmarkError(f"No reminders within {_PATIENCE_SECONDS} seconds of layby up.")
        time.sleep(0.02)


def _postgres(folder: Path, redis_url: str) -> float:
    began = machine_seconds()
    with private_servers(folder, redis_url=redis_url):
        return machine_seconds() - began


@contextmanager
def _empty_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="layby-bench-up-"))
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)
