"""Fencing a restored database: what may have gone out becomes unknown, and sequences go on.

Nothing starts meanwhile. Each chunk is one transaction under the slots' locks, and what it has done
is in the tables, so an end in the middle loses nothing: the next run goes on.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from domain.message import Answer, Result
from storage import enrolments, fence, restored
from storage.accounts import read_account
from storage.database import Connection, Engine, transact
from workers.fence import Fence
from workers.planning import advance_of
from workers.settling import settle_open

CHUNK = 200
"""Enrolments held in one transaction."""


def begin_fencing(engine: Engine, until: datetime | None) -> datetime:
    """Hold all deliveries; returns the moment by which what was due may have gone out."""
    return transact(engine, partial(fence.begin, until=until))


def fence_sends(engine: Engine, watch: Fence, until: datetime) -> None:
    """Write off what may have gone out by a moment, and let sends start again."""
    while not _lift_if_done(engine, watch, until):
        with engine.connect() as connection:
            accounts = [one.account for one in restored.count_forgotten(connection, until)]
            started = restored.started_of_live(connection)
        settle_open(engine, started, Result(Answer.RESTORED, _detail(until)))
        for account in accounts:
            _write_off_account(engine, account, until)


def lift_fence(engine: Engine, watch: Fence) -> None:
    """Let sends start again as they are: whoever says so knows that nothing is forgotten."""
    watch.lifted(transact(engine, watch.lift))


def _lift_if_done(engine: Engine, watch: Fence, until: datetime) -> bool:
    def lift(connection: Connection) -> int | None:
        restored.lock_writers_out(connection)
        if restored.count_forgotten(connection, until):
            return None
        return watch.lift(connection)

    epoch = transact(engine, lift)
    if epoch is not None:
        watch.lifted(epoch)
    return epoch is not None


def _write_off_account(engine: Engine, account: str, until: datetime) -> None:
    after = 0
    while True:
        with engine.connect() as connection:
            found = restored.pending_after(connection, account, after, until, CHUNK)
        if not found:
            return
        transact(engine, partial(_write_off, account_id=account, found=found, until=until))
        after = found[-1][0]


def _write_off(
    connection: Connection, account_id: str, found: Sequence[tuple[int, int]], until: datetime
) -> None:
    """Step after step, up to each one's first that was not due by then."""
    restored.lock_slots(connection, account_id, sorted({slot for _, slot in found}))
    account = read_account(connection, account_id)
    assert account is not None, "it has sends"
    named = [enrolment for enrolment, _ in found]
    while overdue := restored.overdue(connection, account_id, named, until):
        over = enrolments.read_enrolments(connection, account_id, overdue)
        restored.write_off(
            connection,
            account_id,
            overdue,
            rule=Answer.RESTORED.value,
            detail=_detail(until),
            now=account.now,
        )
        advances = [advance_of(connection, account, one) for one in over]
        enrolments.advance(connection, account_id, advances, account.now)


def _detail(until: datetime) -> str:
    return f"may have gone out before the restore: it was due by {until.isoformat()}"
