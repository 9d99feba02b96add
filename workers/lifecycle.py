"""The lifecycle worker: applies commands, each customer's in order, in one transaction.

A move is four files: this one, its command (domain/commands.py), its rule (domain/journey.py) and
its statements (storage/silence.py).
"""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import NamedTuple

import structlog

from config.machine_time import Deadline
from domain.commands import (
    Activate,
    AddCustomer,
    AssignSchedule,
    Command,
    CommandState,
    IfFull,
    MoveToDirectory,
    Pause,
    Purge,
    Reactivate,
    Record,
    RemoveFromSchedule,
    Resume,
    UpdateCustomer,
)
from domain.customer import CustomerState
from domain.journey import ENDS_SILENCE, SILENCING, Place, allowed, wrong_place
from domain.refusal import Refusal
from storage import accounts, customers, inbox, journal, silence
from storage.database import (
    Connection,
    DatabaseError,
    Engine,
    first_line,
    is_conflict,
    is_lost,
    transact,
)
from storage.inbox import Line, Target
from storage.journal import Entry
from workers import profiles, schedules, setup
from workers.work import Work

log = structlog.get_logger()

CHUNK = 100
"""Customers held in one transaction at most."""

TURN_SECONDS = 2
"""How long one account is served before the others have their turn."""


class RoomTakenError(Exception):
    """Others took the plan's last places while we decided: begin the transaction anew."""


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
    while not turn.passed:
        with engine.connect() as connection:
            set_up = inbox.setup_waiting(connection, account)
            waiting = inbox.customers_waiting(connection, account, CHUNK)
        for seq in set_up:
            travelled |= _apply_set_up(engine, account, seq)
        if waiting:
            apply_to(engine, account, waiting)
        elif not set_up:
            return Applied(travelled, more=False)
    return Applied(travelled, more=True)


def _apply_set_up(engine: Engine, account: str, seq: int) -> bool:
    try:
        return transact(engine, partial(setup.apply, account=account, seq=seq))
    except Exception as error:
        if _is_passing(error):
            raise
        log.exception("cannot_apply", account=account, seq=seq)
        problem = _cannot_apply(f"account {account}", error)
        state = CommandState.QUARANTINED
        transact(engine, lambda c: inbox.finish_setup(c, account, seq, state, problem))
        return False


def apply_to(engine: Engine, account: str, names: list[str]) -> None:
    """Apply all that waits for these customers; what can't be applied is set aside alone."""
    try:
        transact(engine, partial(_apply, account_id=account, names=names))
    except (RoomTakenError, customers.AppearedError):
        apply_to(engine, account, names)
    except Exception as error:
        if _is_passing(error):
            raise
        if len(names) > 1:
            for name in names:
                apply_to(engine, account, [name])
        else:
            log.exception("cannot_apply", account=account, customer=names[0])
            problem = _cannot_apply(f"customer {names[0]}", error)
            transact(engine, lambda c: inbox.set_aside(c, account, names[0], problem))


def _is_passing(error: Exception) -> bool:
    return isinstance(error, DatabaseError) and (is_lost(error) or is_conflict(error))


def _cannot_apply(whom: str, error: Exception) -> str:
    what = first_line(error) if isinstance(error, DatabaseError) else type(error).__name__
    return (
        f"A command for {whom} can't be applied ({what}), and this is not its fault. "
        "See the lifecycle process's log, mend what it says, then: layby command replay ID"
    )


def _apply(connection: Connection, account_id: str, names: list[str]) -> None:
    customers.lock(connection, account_id, names)
    waiting = inbox.waiting_targets(connection, account_id, names)
    if not waiting:
        return
    known = accounts.read_account_and_room(connection, account_id)
    if known is None:
        inbox.write_lines(connection, account_id, [_no_account(target) for target in waiting])
        return
    account, room = known
    work = Work(connection, account, room)
    for turn in _turns(waiting):
        states = customers.read_states(connection, account_id, [t.customer for t in turn])
        for _, targets in groupby(turn, key=lambda target: target.seq):
            _apply_one(work, list(targets), states)
    journal.add(connection, account_id, work.entries, account.now)
    inbox.write_lines(connection, account_id, work.lines)
    if not accounts.commit_room(connection, account_id, work.room):
        raise RoomTakenError


def _turns(waiting: list[Target]) -> Iterator[list[Target]]:
    """Each customer's first command, then each one's second, …; in a turn, by command."""
    while waiting:
        first = {target.customer: target for target in reversed(waiting)}
        yield sorted(first.values(), key=lambda target: (target.seq, target.customer))
        waiting = [target for target in waiting if first[target.customer] is not target]


def _apply_one(work: Work, targets: list[Target], states: dict[str, CustomerState]) -> None:
    """Apply one command to those of its customers who are held."""
    first = targets[0]
    if first.command.kind in SILENCING:
        names = [target.customer for target in targets]
        customers.mark_silenced(work.connection, work.account.account, names, first.order_at)
    here = list(_admitted(work, targets, states))
    if not here:
        return
    seq = first.seq
    match first.command:
        case MoveToDirectory() as command:
            move_to_directory(work, seq, command, here)
        case Activate() | Reactivate() as command:
            activate(work, seq, command, here)
        case Purge():
            purge(work, seq, here)
        case AddCustomer() as command:
            profiles.add(work, seq, command, here)
        case UpdateCustomer() as command:
            profiles.update(work, seq, command, here)
        case Pause():
            schedules.pause(work, seq, here)
        case Resume():
            schedules.resume(work, seq, here)
        case AssignSchedule() as command:
            schedules.assign(work, seq, command, here)
        case RemoveFromSchedule() as command:
            schedules.remove(work, seq, command, here)
        case Record() as command:
            schedules.record_payment(work, seq, command, here)
        case command:
            raise AssertionError(f"{command.kind} has no customers")


def _admitted(
    work: Work, targets: Iterable[Target], states: dict[str, CustomerState]
) -> Iterator[CustomerState]:
    for seq, command, state, order_at in (
        (t.seq, t.command, states[t.customer], t.order_at) for t in targets
    ):
        if not allowed(command.kind, state.place):
            work.refused(seq, state, wrong_place(command.kind, state.customer, state.place))
        elif (
            command.kind in ENDS_SILENCE
            and state.silenced_at is not None
            and state.silenced_at > order_at
        ):
            work.refused(seq, state, _superseded(command, state), superseded=True)
        else:
            yield state


def move_to_directory(
    work: Work, seq: int, command: MoveToDirectory, here: list[CustomerState]
) -> None:
    """Active to archived. From the commit on, nothing can start for these customers."""
    connection, account = work.connection, work.account
    active = [state for state in here if state.place is Place.ACTIVE]
    leaving = [state for state in active if work.room.take_directory()]
    staying = active[len(leaving) :]
    open_sends = silence.open_sends(connection, account.account, [s.customer for s in here])
    ended = silence.end_enrolments(
        connection, account.account, slots_of(leaving), reason="moved", now=account.now
    )
    silence.free_slots(connection, account.account, [state.customer for state in leaving])
    for state in here:
        if state in staying:
            continue
        if state in leaving:
            work.room.leave_active()
        work.applied(
            seq,
            state,
            "customer_moved" if state in leaving else "customer_already_archived",
            cancelled=ended[state.customer].cancelled if state.customer in ended else 0,
            open=tuple(open_sends.get(state.customer, ())),
        )
    _directory_full(work, seq, command, staying, open_sends)


def _directory_full(
    work: Work,
    seq: int,
    command: MoveToDirectory,
    staying: list[CustomerState],
    open_sends: dict[str, list[int]],
) -> None:
    if not staying:
        return
    if command.if_full is IfFull.REFUSE:
        for state in staying:
            work.refused(seq, state, work.room.directory_full(state.customer, "move"))
        return
    held = schedules.hold(work, staying)
    for state in staying:
        work.entries.append(
            Entry(state.customer, "customer_paused", {"because": "the directory is full"}, seq)
        )
        work.refused(
            seq,
            state,
            work.room.directory_full(
                state.customer, "move", " It is paused instead and hears nothing."
            ),
            cancelled=held.get(state.customer, 0),
            open=tuple(open_sends.get(state.customer, ())),
        )


def activate(
    work: Work, seq: int, command: Activate | Reactivate, here: list[CustomerState]
) -> None:
    """Reserve or archived to active: a new slot, on track, on no schedule."""
    entering = [state for state in here if work.room.take_active()]
    for state in here[len(entering) :]:
        work.refused(seq, state, work.room.active_full(state.customer, command.kind.value))
    customers.give_slots(
        work.connection,
        work.account.account,
        [state.customer for state in entering],
        work.account.now,
    )
    for state in entering:
        work.room.leave_directory()
        work.applied(seq, state, f"customer_{command.kind.value}d")


def purge(work: Work, seq: int, here: list[CustomerState]) -> None:
    """Out of reserve for good, unless something is recorded that is kept."""
    going = [state for state in here if not state.kept]
    for state in here:
        if state.kept:
            work.refused(
                seq,
                state,
                Refusal(
                    "kept",
                    f"Cannot purge customer {state.customer}: a payment is recorded for it, which "
                    "is kept as proof. Leave it in reserve, where it hears nothing.",
                ),
            )
    names = [state.customer for state in going]
    customers.purge(work.connection, work.account.account, names, seq)
    for state in going:
        work.room.leave_directory()
        work.applied(seq, state, "customer_purged")


def slots_of(states: Iterable[CustomerState]) -> list[int]:
    return [state.slot for state in states if state.slot is not None]


def _superseded(command: Command, state: CustomerState) -> Refusal:
    return Refusal(
        "superseded",
        f"Cannot {command.kind.value} customer {state.customer}: a later command, of "
        f"{state.silenced_at:%Y-%m-%d %H:%M:%S} UTC, silenced it, and it came first. If the "
        "customer is wanted active after all, send a new command.",
    )


def _no_account(target: Target) -> Line:
    return Line(
        target.customer,
        target.seq,
        "refused",
        "unknown_account",
        f"There is no account {target.command.account}. Create it with put_account, then send the "
        "command again under another id.",
    )
