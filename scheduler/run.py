"""The scheduler process: APScheduler as a ticker, and a database lease before each tick."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from config.machine_time import machine_seconds
from config.outage import Outage
from scheduler.pruning import Pruning
from scheduler.ticks import Watch, make_partitions, ring, sweep
from storage.database import DatabaseError, Engine, first_line, is_lost
from storage.leases import hold_lease, release_leases
from storage.retention import Keep
from workers.broker import Bell
from workers.fence import Fence
from workers.replanning import plan_by_newer_data

log = structlog.get_logger()

RING_SECONDS = 1.0
SWEEP_SECONDS = 0.25
RESCUE_SECONDS = 2.0
PARTITIONS_SECONDS = 3600.0
CALENDAR_SECONDS = 3600.0
"""Newer zones and holidays come with an upgrade, and so with a start: looked at then, too."""
PRUNE_SECONDS = 60.0
EPOCH_SECONDS = 5.0
"""What a backup and a restore have to lie apart for the restore to be noticed in any case."""
LEASE_SECONDS = 6.0
"""How soon another scheduler takes over from one that died."""


class Metronome(BackgroundScheduler):  # type: ignore[misc] # it is untyped
    """Goes on at once where the wall clock is set back, by which APScheduler counts."""

    def _process_jobs(self) -> float | None:
        now = datetime.now(UTC)
        for job in self.get_jobs():
            if job.next_run_time > now + job.trigger.interval:
                job.modify(next_run_time=now)
        wait_seconds: float | None = super()._process_jobs()
        return wait_seconds


class Ticker:
    """All the ticks of one scheduler process. Any number may run; each tick is done by one."""

    def __init__(self, engine: Engine, bell: Bell, holder: str, fence: Fence, keep: Keep) -> None:
        self._engine = engine
        self._holder = holder
        self._database = Outage("database")
        self._renewed: dict[str, float] = {}
        watch, pruning = Watch(), Pruning(engine, keep)
        logging.getLogger("apscheduler.scheduler").addFilter(_says_what_matters)
        self._scheduler = Metronome(
            timezone="UTC",
            executors={"default": ThreadPoolExecutor(4)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._add("ring", RING_SECONDS, lambda: ring(engine, bell))
        self._add("sweep", SWEEP_SECONDS, lambda: sweep(engine))
        # Without a lease: each watch has its own clock, and one that takes over must have watched.
        self._add("rescue", RESCUE_SECONDS, lambda: watch.rescue(engine), leased=False)
        self._add("partitions", PARTITIONS_SECONDS, lambda: make_partitions(engine))
        self._add("calendar", CALENDAR_SECONDS, lambda: plan_by_newer_data(engine))
        self._add("prune", PRUNE_SECONDS, pruning.prune)
        self._add("epoch", EPOCH_SECONDS, fence.beat)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """Finish the ticks under way and give the leases to the others."""
        self._scheduler.shutdown(wait=True)
        try:
            with self._engine.begin() as connection:
                release_leases(connection, self._holder)
        except DatabaseError as error:
            log.warning("leases_not_released", reason=first_line(error))

    def _add(
        self, name: str, seconds: float, tick: Callable[[], object], *, leased: bool = True
    ) -> None:
        def once() -> None:
            try:
                if not leased or self._is_ours(name):
                    tick()
                self._database.over()
            except DatabaseError as error:
                if is_lost(error):
                    self._database.away(first_line(error))
                else:
                    log.warning("tick_failed", tick=name, reason=first_line(error))

        self._scheduler.add_job(
            once, "interval", seconds=seconds, id=name, name=name, next_run_time=datetime.now(UTC)
        )

    def _is_ours(self, name: str) -> bool:
        """Hold the tick's lease, renewed well before it ends; a tick does not cost a write."""
        if self._renewed.get(name, 0.0) + LEASE_SECONDS / 3 > machine_seconds():
            return True
        began = machine_seconds()
        with self._engine.begin() as connection:
            if not hold_lease(connection, name, self._holder, LEASE_SECONDS):
                return False
        self._renewed[name] = began
        return True


def _says_what_matters(record: logging.LogRecord) -> bool:
    # A tick that takes longer than until the next one: those are one then, as is meant.
    return "maximum number of running instances" not in record.getMessage()
