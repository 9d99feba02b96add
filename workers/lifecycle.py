"""The lifecycle worker: an account's turn, and what is done with what can't be applied.

One transaction's work, each customer's commands in order, is `applying.apply`.
"""

from functools import partial
from typing import NamedTuple

import structlog

from config.machine_time import Deadline
from domain.commands import CommandState
from storage import bulk, customers, unapplied
from storage.database import Connection, Engine, reading, transact
from storage.lines import Line, write_lines
from storage.waiting import ONE_COMMAND
from workers import setup
from workers.applying import OvertakenError, TogetherError, apply
from workers.holds import release_some
from workers.replanning import replan_some
from workers.resolving import resolve
from workers.setting_aside import OVERLONG, cannot_apply, is_overtime, is_passing

log = structlog.get_logger()

CHUNK = 100
"""Customers held in one transaction at most."""

TURN_SECONDS = 2
"""How long one account is served before the others have their turn."""

TURN_CHUNKS = 10
"""And how many times at most, of a chunk of customers (and one of set-up commands) each."""


class Applied(NamedTuple):
    """What one turn came to."""

    travelled: bool
    """A test clock was moved, and sends may be due at once."""
    more: bool
    """The turn ended before the work did."""


def apply_waiting(engine: Engine, account: str) -> Applied:
    """Apply what waits in an account, for a turn: set-up first, then by age."""
    turn = Deadline.after(TURN_SECONDS)
    travelled = False
    for _ in range(TURN_CHUNKS):
        if turn.passed:
            break
        with reading(engine) as connection:
            work = unapplied.work_waiting(connection, account, CHUNK)
        for seq in work.set_up:
            travelled |= apply_set_up(engine, account, seq)
        if len(work.set_up) == CHUNK:
            continue  # there may be more that comes before the customers' commands
        if work.customers:
            apply_to(engine, account, work.customers)
        elif not work.set_up and not (work.plans and _see_to_plans(engine, account)):
            return Applied(travelled, more=False)
    _see_to_plans(engine, account)
    return Applied(travelled, more=True)


def _see_to_plans(engine: Engine, account: str) -> bool:
    """What no command brings: a zone's new plans, and promises that are broken; a chunk of each."""
    replanned = replan_some(engine, account, CHUNK)
    return release_some(engine, account, CHUNK) or replanned


def apply_set_up(engine: Engine, account: str, seq: int) -> bool:
    """Apply a set-up command, if it still waits; True: a test clock travelled."""
    work = (engine.url, account, seq)
    try:
        travelled = transact(engine, partial(setup.apply, account=account, seq=seq))
    except Exception as error:
        if is_passing(error) and not OVERLONG.failed(work, error):
            raise
        log.exception("cannot_apply", account=account, seq=seq)
        problem = cannot_apply(f"account {account}", error)
        state = CommandState.QUARANTINED
        transact(engine, lambda c: unapplied.finish_setup(c, account, seq, state, problem))
        travelled = False
    OVERLONG.done(work)
    return travelled


def apply_to(
    engine: Engine, account: str, names: list[str], together: frozenset[int] = frozenset()
) -> None:
    """Apply all that waits for these customers; what can't be applied is set aside alone.

    `together`: commands that ask for all or none, whose customers are all among these. Whose
    commands took too long before come last, so that nobody waits for them.
    """
    slow = {name: OVERLONG.attempts((engine.url, account, name)) for name in names}
    quick = [name for name in names if not slow[name]]
    if together or len(quick) == len(names):
        _apply_all(engine, account, names, together)
        return
    if quick:
        _apply_all(engine, account, quick, together)
    for name in sorted(set(names) - set(quick), key=slow.__getitem__):
        _apply_one_command(engine, account, name)


def _apply_all(engine: Engine, account: str, names: list[str], together: frozenset[int]) -> None:
    try:
        transact(engine, partial(apply, account_id=account, names=names, together=together))
    except (OvertakenError, customers.AppearedError):
        _apply_all(engine, account, names, together)
    except TogetherError as due:
        seqs = together | due.seqs
        _apply_all(engine, account, _all_of(engine, account, seqs, names), seqs)
    except Exception as error:
        if is_passing(error) and not is_overtime(error):
            raise
        if together:
            _set_aside_together(engine, account, names, together, error)
        elif len(names) > 1:
            for name in names:
                _apply_all(engine, account, [name], together)
        else:
            _apply_one_command(engine, account, names[0])


def _apply_one_command(engine: Engine, account: str, name: str) -> None:
    """Apply a customer's first command alone: behind it may be the one that can't be applied."""
    work = (engine.url, account, name)
    try:
        transact(engine, partial(apply, account_id=account, names=[name], most=ONE_COMMAND))
    except (OvertakenError, customers.AppearedError):
        _apply_one_command(engine, account, name)
    except TogetherError as due:
        _apply_all(engine, account, _all_of(engine, account, due.seqs, [name]), due.seqs)
    except Exception as error:
        if is_passing(error) and not OVERLONG.failed(work, error):
            raise
        log.exception("cannot_apply", account=account, customer=name)
        problem = cannot_apply(f"customer {name}", error)
        transact(engine, partial(_set_aside, account=account, name=name, problem=problem))
    OVERLONG.done(work)


def _set_aside(connection: Connection, account: str, name: str, problem: str) -> None:
    # Under its locks: what is too long only because somebody holds them waits here, too.
    customers.lock(connection, account, [name])
    unapplied.set_aside(connection, account, name, problem)


def _all_of(engine: Engine, account: str, seqs: frozenset[int], names: list[str]) -> list[str]:
    for seq in sorted(seqs):
        resolve(engine, account, seq)
    with engine.connect() as connection:
        return sorted({*names, *bulk.members(connection, account, sorted(seqs))})


def _set_aside_together(
    engine: Engine, account: str, names: list[str], together: frozenset[int], error: Exception
) -> None:
    work = (engine.url, account, together)
    if is_passing(error) and not OVERLONG.failed(work, error):
        raise error
    log.error("cannot_apply", account=account, seqs=sorted(together), exc_info=error)
    problem = cannot_apply(f"{len(names)} customers together", error)
    transact(engine, partial(_refuse_all, account=account, together=together, problem=problem))
    OVERLONG.done(work)
    apply_to(engine, account, names)


def _refuse_all(
    connection: Connection, account: str, together: frozenset[int], problem: str
) -> None:
    for seq in sorted(together):
        names = bulk.members(connection, account, [seq])
        lines = [Line(name, seq, "refused", unapplied.CANNOT_APPLY, problem) for name in names]
        write_lines(connection, account, lines)
