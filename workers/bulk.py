"""The bulk worker: what is long is applied in small chunks, beside the single commands.

A chunk is a transaction of the lifecycle worker's own, on the customers that bulk work waits for;
so a bulk command holds up a single one only where both are of the same customer.
"""

from config.machine_time import Deadline
from storage import bulk, unapplied
from storage.bulk import START, Position
from storage.database import Engine, reading
from workers.lifecycle import TURN_SECONDS, Applied, apply_set_up, apply_to
from workers.resolving import resolve_some

CHUNK = 200
"""Customers held in one transaction at most."""

_LOOKED_AT_ONCE = 10 * CHUNK
"""Customers that one look at what waits finds."""


def apply_bulk(engine: Engine, account: str) -> Applied:
    """Resolve and apply what bulk work waits in an account, for a turn; set-up first."""
    turn = Deadline.after(TURN_SECONDS)
    travelled, after = False, START
    while not turn.passed:
        with reading(engine) as connection:
            # In this order: what set-up came before these is seen.
            unresolved = bulk.first_unresolved(connection, account)
            waiting = bulk.waiting(connection, account, after, _LOOKED_AT_ONCE)
            set_up = unapplied.work_waiting(connection, account, CHUNK).set_up
        for seq in set_up:
            travelled |= apply_set_up(engine, account, seq)
        if len(set_up) == CHUNK:
            continue  # there may be more that comes before the customers' commands
        if unresolved is not None:
            resolve_some(engine, account, unresolved)
        elif waiting:
            after = _apply_until(engine, account, waiting, turn)
        elif after != START:
            after = START  # what came to wait behind this turn
        elif not set_up:
            return Applied(travelled, more=False)
    return Applied(travelled, more=True)


def _apply_until(engine: Engine, account: str, waiting: list[Position], turn: Deadline) -> Position:
    """Chunk by chunk, while the turn lasts; returns how far that went."""
    after = START
    for n in range(0, len(waiting), CHUNK):
        if n and turn.passed:
            break
        chunk = waiting[n : n + CHUNK]
        apply_to(engine, account, sorted({customer for _, customer in chunk}))
        after = chunk[-1]
    return after
