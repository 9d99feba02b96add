"""Retention: what settings say is pruned, a little at a time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from config.machine_time import Deadline
from storage import clock, retention
from storage.database import (
    Connection,
    DatabaseError,
    Engine,
    first_line,
    is_lock_timeout,
    transact,
)
from storage.retention import START, Keep, Place, Pruned

log = structlog.get_logger()

BATCH = 500
"""Commands or enrolments in one transaction at most; of journal entries, ten times as many."""

TURN_SECONDS = 4.0
"""How long one tick prunes; less than its lease, so that one scheduler at a time does it."""

_WALK_AGAIN_SECONDS = 3600.0
_TELL_AGAIN_SECONDS = 3600.0


Prune = Callable[[Connection, datetime, datetime, int], Pruned]


class Looked(NamedTuple):
    """How far all of a kind was looked at, and until when what is kept there is left alone."""

    to: datetime
    rest: Deadline


class Pruning:
    """Prunes for a turn at each tick, and goes on where it stopped."""

    def __init__(self, engine: Engine, keep: Keep) -> None:
        self._engine = engine
        self._keep = keep
        self._looked: dict[Prune, Looked] = {}
        self._places: dict[str, Place] = {}
        self._walked: dict[str, Deadline] = {}
        """Partitions that were walked to their end, and until when they are left alone."""
        self._told = Deadline(0.0)

    def prune(self) -> int:
        """Prune for a turn; returns how many commands, tokens, entries and enrolments went.

        Nothing, where the database's clock has leapt ahead: by it all is old.
        """
        if self._distrusts_the_clock():
            return 0
        turn = Deadline.after(TURN_SECONDS)
        gone = self._batches(self._keep.commands, retention.prune_commands, BATCH, turn)
        gone += self._batches(self._keep.commands, retention.prune_tokens, BATCH, turn)
        gone += self._batches(self._keep.journal, retention.prune_journal, 10 * BATCH, turn)
        gone += self._ledger(turn)
        if gone:
            log.info("pruned", rows=gone)
        return gone

    def _distrusts_the_clock(self) -> bool:
        with self._engine.begin() as connection:
            until = clock.look(connection)
        if until is not None and self._told.passed:
            self._told = Deadline.after(_TELL_AGAIN_SECONDS)
            log.error("retention_waits", reason=clock.distrusted(until))
        return until is not None

    def _batches(self, keep: timedelta | None, prune: Prune, limit: int, turn: Deadline) -> int:
        gone, batch = 0, 1
        while keep is not None and batch and not turn.passed:
            looked = self._looked.get(prune)
            if looked is None or looked.rest.passed:
                looked = Looked(retention.BEGINNING, Deadline.after(_WALK_AGAIN_SECONDS))
            with self._engine.begin() as connection:
                before = retention.moment_before(connection, keep)
                batch, looked_to = prune(connection, looked.to, before, limit)
            self._looked[prune] = looked._replace(to=looked_to)
            gone += batch
        return gone

    def _ledger(self, turn: Deadline) -> int:
        if self._keep.ledger is None:
            return 0
        with self._engine.connect() as connection:
            before = retention.moment_before(connection, self._keep.ledger)
            partitions = retention.old_partitions(connection, before)
        gone = 0
        for partition in partitions:
            rest = self._walked.get(partition)
            if rest is None or rest.passed:
                gone += self._walk(partition, before, turn)
        return gone

    def _walk(self, partition: str, before: datetime, turn: Deadline) -> int:
        gone = 0
        while not turn.passed:
            with self._engine.connect() as connection:
                place = self._places.get(partition, START)
                found = retention.enrolments_in(connection, partition, before, place, BATCH)
            if not found:
                self._places.pop(partition, None)
                self._walked[partition] = Deadline.after(_WALK_AGAIN_SECONDS)
                self._drop(partition)
                break
            gone += transact(self._engine, lambda c, found=found: _prune(c, found, before))  # type: ignore[misc]
            self._places[partition] = found[-1]
        return gone

    def _drop(self, partition: str) -> None:
        try:
            with self._engine.begin() as connection:
                if retention.drop_if_empty(connection, partition):
                    log.info("partition_dropped", partition=partition)
        except DatabaseError as error:
            if not is_lock_timeout(error):
                raise
            log.info("partition_not_dropped", reason=first_line(error))


def _prune(connection: Connection, found: list[Place], before: datetime) -> int:
    held = retention.lock_ended(connection, found)
    return retention.prune_enrolments(connection, held, before)
