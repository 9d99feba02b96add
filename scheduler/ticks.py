"""The ticks: ring for what is due, rescue what nobody answers for, see what has become quiet.

Each is safe to do twice and by many at once; leases only keep schedulers from repeating each other.
"""

from typing import NamedTuple
from uuid import UUID

import structlog

from config.machine_time import machine_seconds
from domain.message import Answer, Result
from storage import erasure, marks, partitions, replans, rescues, silence, starts, unapplied
from storage.database import DatabaseError, Engine, first_line, is_lock_timeout
from storage.rescues import Open
from workers.broker import BULK, LIFECYCLE, Bell, Ring
from workers.settling import settle_open

log = structlog.get_logger()

_NO_WORD = Result(Answer.UNKNOWN, "no word of it by its deadline")


class Rung(NamedTuple):
    """What ringing came to."""

    due: int
    """Queues of accounts with something to do."""
    made: int
    """For how many of them the bell could be rung."""

    @property
    def problem(self) -> str | None:
        """What is said where some could not be."""
        if self.made == self.due:
            return None
        return (
            f"Redis took {self.made} of {self.due} rings: the rest waits for the next tick. "
            "Is there room in it, and is it no replica? See: layby check"
        )


def ring(engine: Engine, bell: Bell, only: str | None = None) -> Rung:
    """Ring for every account and channel with something due; for commands, plans and promises."""
    with engine.connect() as connection:
        due = [Ring(channel, account) for account, channel in starts.due_queues(connection)]
        single = {
            *unapplied.accounts_waiting(connection, bulk=False),
            *replans.accounts_to_replan(connection),
            *marks.accounts_due(connection),
        }
        bulk = unapplied.accounts_waiting(connection, bulk=True)
    # Commands first: there may be a silence among them.
    waiting = [Ring(LIFECYCLE, one) for one in sorted(single)]
    waiting += [Ring(BULK, one) for one in sorted(bulk)]
    rings = [one for one in (*waiting, *due) if only in (None, one.account)]
    return Rung(len(rings), bell.ring(rings))


def sweep(engine: Engine, only: str | None = None) -> int:
    """Mark silences quiet whose started sends have all been settled; erase what waited for its end.

    Returns how many have become quiet.
    """
    with engine.begin() as connection:
        erasure.sweep(connection, only)
    with engine.begin() as connection:
        return silence.sweep_quiet(connection, only)


def make_partitions(engine: Engine) -> None:
    """Make the ledger's coming partitions; behind a long reader the next tick does."""
    try:
        with engine.begin() as connection:
            partitions.make_partitions(connection)
    except DatabaseError as error:
        if not is_lock_timeout(error):
            raise
        log.info("partitions_not_made", reason=first_line(error))


class Watch:
    """Watches started sends, and rescues those that outlive their lease.

    A lease is counted from when this watch first saw the send, on its own monotonic clock: the
    worker counts from before it asked for the start, so its deadline is always the earlier one,
    and no step of any wall clock ends a lease early.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int, UUID], float] = {}

    def rescue(self, engine: Engine, only: str | None = None) -> int:
        """Settle as unknown what has been started for longer than its lease; returns how many.

        What somebody holds is left to them, and seen to at the next look.
        """
        with engine.connect() as connection:
            found = rescues.open_starts(connection)
        # Read after the rows: a send is never taken for older than it is.
        now = machine_seconds()
        self._seen = {_name(one): self._seen.get(_name(one), now) for one in found}
        overdue = [
            one
            for one in found
            if now - self._seen[_name(one)] > one.lease_seconds and only in (None, one.account)
        ]
        rescued = settle_open(engine, overdue, _NO_WORD)
        if rescued:
            log.warning("rescued", sends=rescued)
        return rescued

    @property
    def watching(self) -> int:
        """How many sends were started and not settled when last looked at."""
        return len(self._seen)


def _name(one: Open) -> tuple[str, int, UUID]:
    return one.account, one.send, one.token
