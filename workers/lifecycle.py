"""The lifecycle worker: applies commands, each customer's in order, in one transaction.

A move is four files: this one, its command (domain/commands.py), its rule (domain/journey.py) and
its statements (storage/silence.py).
"""

from collections.abc import Iterator
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
    ConsentCommand,
    CustomerCommand,
    IfFull,
    ImportCustomers,
    MoveToDirectory,
    MoveToVersion,
    Pause,
    Purge,
    Reactivate,
    Record,
    Redact,
    RemoveFromSchedule,
    Resume,
    UpdateCustomer,
)
from domain.customer import CustomerState
from domain.customer_filter import Filter
from domain.import_rows import at_row
from domain.journey import (
    ENDS_SILENCE,
    OF_CONSENT,
    SILENCING,
    Place,
    allowed,
    changed_in,
    is_redacted,
    no_longer_matches,
    not_all,
    wrong_place,
)
from domain.refusal import Refusal, unknown_account
from storage import bulk, customers, filters, order, silence, unapplied
from storage.database import (
    Connection,
    Engine,
    reading,
    transact,
)
from storage.journal import Entry
from storage.lines import Line, finish, write_lines
from storage.silence import Moved
from storage.waiting import ONE_COMMAND, Target, read_waiting
from workers import consent, erasing, facts, profiles, schedules, setup, versions
from workers.holds import release_some
from workers.replanning import replan_some
from workers.resolving import resolve
from workers.setting_aside import OVERLONG, cannot_apply, is_overtime, is_passing
from workers.work import Work

log = structlog.get_logger()

CHUNK = 100
"""Customers held in one transaction at most."""

TURN_SECONDS = 2
"""How long one account is served before the others have their turn."""

TURN_CHUNKS = 10
"""And how many times at most, of a chunk of customers (and one of set-up commands) each."""


class OvertakenError(Exception):
    """Others took the plan's last places, or set a command aside, while we decided: begin anew."""


class TogetherError(Exception):
    """Commands that ask for all or none are due: all that they wait for is to be held first."""

    def __init__(self, seqs: frozenset[int]) -> None:
        super().__init__()
        self.seqs = seqs


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
        transact(engine, partial(_apply, account_id=account, names=names, together=together))
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
        transact(engine, partial(_apply, account_id=account, names=[name], most=ONE_COMMAND))
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


def _apply(
    connection: Connection,
    account_id: str,
    names: list[str],
    together: frozenset[int] = frozenset(),
    most: int | None = None,
) -> None:
    slots = customers.lock(connection, account_id, names)
    waiting, states, known = read_waiting(connection, account_id, names, most)
    if not waiting:
        return
    customers.check_held(states.values(), slots)
    whole = frozenset(target.seq for target in waiting if target.all_or_none)
    if not whole <= together:
        raise TogetherError(whole)
    if known is None:
        write_lines(connection, account_id, [_no_account(target) for target in waiting])
        return
    account, room = known
    work = Work(connection, account, room)
    for number, turn in enumerate(_turns(waiting)):
        if number:
            states = customers.read_states(connection, account_id, [t.customer for t in turn])
        for _, targets in groupby(turn, key=lambda target: target.seq):
            _apply_one(work, list(targets), states)
    held = erasing.hold(work)
    if not finish(connection, account_id, work.lines, work.entries, account.now, work.room):
        raise OvertakenError
    erasing.erase(work, held)


def _turns(waiting: list[Target]) -> Iterator[list[Target]]:
    """Each customer's first command, then each one's second, …; in a turn, by command.

    One that asks for all or none has its turn when it is the first of all of its customers.
    """
    while waiting:
        first = {target.customer: target for target in reversed(waiting)}
        behind = {target.seq for target in waiting if first[target.customer] is not target}
        turn = [one for one in first.values() if not (one.all_or_none and one.seq in behind)]
        yield sorted(turn, key=lambda target: (target.seq, target.customer))
        taken = {(target.customer, target.seq) for target in turn}
        waiting = [target for target in waiting if (target.customer, target.seq) not in taken]


def _apply_one(work: Work, targets: list[Target], states: dict[str, CustomerState]) -> None:
    """Apply one command to those of its customers who are held."""
    first = targets[0]
    here = _whole(work, targets, list(_admitted(work, targets, states)))
    if first.command.kind in SILENCING - OF_CONSENT and not (
        here and isinstance(first.command, MoveToDirectory)
    ):
        names = [target.customer for target in targets]
        customers.mark_silenced(work.connection, work.account.account, names, first.order_at)
    if here:
        _do(work, targets, here)


def _do(work: Work, targets: list[Target], here: list[CustomerState]) -> None:
    """What each command does, for those to whom it is applied."""
    first, seq = targets[0], targets[0].seq
    match first.command:
        case MoveToDirectory() as command:
            move_to_directory(work, command, targets, here)
        case Activate() | Reactivate() as command:
            activate(work, seq, command, here)
        case Purge():
            erasing.purge(work, seq, here)
        case Redact():
            erasing.redact(work, seq, here)
        case AddCustomer() as command:
            profiles.add(work, seq, command, here)
        case ImportCustomers() as command:
            profiles.import_rows(work, seq, command, here, targets)
        case UpdateCustomer() as command:
            profiles.update(work, seq, command, here)
        case Pause():
            schedules.pause(work, seq, here)
        case Resume() as command:
            schedules.resume(work, seq, command, here)
        case AssignSchedule() as command:
            schedules.assign(work, seq, command, here)
        case RemoveFromSchedule() as command:
            schedules.remove(work, seq, command, here)
        case MoveToVersion() as command:
            versions.move_to_version(work, seq, command, here)
        case Record() as command:
            facts.record(work, seq, command, here)
        case ConsentCommand() as command:
            consent.apply(work, command, first, here)
        case command:
            raise AssertionError(f"{command.kind} has no customers")


def _admitted(
    work: Work, targets: list[Target], states: dict[str, CustomerState]
) -> Iterator[CustomerState]:
    fitting = _fitting(work, targets)
    for target in targets:
        command, state = target.command, states[target.customer]
        if state.redacted:
            # Whatever it brings of the person goes, applied or not.
            work.erased[state.customer] = erasing.ALL
        if not allowed(command.kind, state.place, redacted=state.redacted):
            work.refused(target.seq, state, _at_row(target, _not_here(command, state)))
        elif command.kind in ENDS_SILENCE - OF_CONSENT and _is_superseded(work, target, state):
            work.refused(target.seq, state, _superseded(command, state), superseded=True)
        elif fitting is not None and state.customer not in fitting:
            asked = command.customers.conditions  # type: ignore[union-attr] # it is a filter's
            refusal = no_longer_matches(command.kind, state.customer, asked)
            work.refused(target.seq, state, refusal)
        else:
            yield state


def _is_superseded(work: Work, target: Target, state: CustomerState) -> bool:
    """Whether its customer was silenced by a command that was issued later."""
    if state.silenced_at is None or state.silenced_at <= target.order_at:
        return False
    return target.command.issued_at is not None or order.customer_silenced_since(
        work.connection,
        work.account.account,
        state.customer,
        target.seq,
        target.order_at,
        SILENCING - OF_CONSENT,
    )


def _fitting(work: Work, targets: list[Target]) -> set[str] | None:
    """Who still fits the filter that took them, looked at under the locks; None: it is a list."""
    command = targets[0].command
    if not (isinstance(command, CustomerCommand) and isinstance(command.customers, Filter)):
        return None
    return filters.still_matching(
        work.connection,
        work.account.account,
        [target.customer for target in targets],
        filters.asked(command.customers, changed_in(command.kind), work.account.now),
    )


def _whole(work: Work, targets: list[Target], here: list[CustomerState]) -> list[CustomerState]:
    """Those to whom a command is applied; nobody, if it asks for all and some are refused."""
    refused = len(targets) - len(here)
    if not (targets[0].all_or_none and refused):
        return here
    of = {target.customer: target for target in targets}
    for state in here:
        refusal = not_all(targets[0].command.kind, state.customer, refused)
        work.refused(targets[0].seq, state, _at_row(of[state.customer], refusal))
    return []


def _at_row(target: Target, refusal: Refusal) -> Refusal:
    return at_row(target.payload["row"], refusal) if target.payload else refusal


def move_to_directory(
    work: Work, command: MoveToDirectory, targets: list[Target], here: list[CustomerState]
) -> None:
    """Active to archived. From the commit on, nothing can start for these customers."""
    seq, order_at = targets[0].seq, targets[0].order_at
    active = [state for state in here if state.place is Place.ACTIVE]
    leaving = [state for state in active if work.room.take_directory()]
    moved = silence.archive(
        work.connection,
        work.account.account,
        [state.customer for state in leaving],
        [target.customer for target in targets],
        order_at=order_at,
        now=work.account.now,
    )
    left, staying = set(leaving), active[len(leaving) :]
    for state in here:
        if state in left:
            work.room.leave_active()
        elif state.place is Place.ACTIVE:
            continue
        event = "customer_moved" if state in left else "customer_already_archived"
        it = moved[state.customer]
        work.applied(seq, state, event, cancelled=it.cancelled, open=it.open)
    _directory_full(work, seq, command, staying, moved)


def _directory_full(
    work: Work,
    seq: int,
    command: MoveToDirectory,
    staying: list[CustomerState],
    moved: dict[str, Moved],
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
            open=moved[state.customer].open,
        )


def activate(
    work: Work, seq: int, command: Activate | Reactivate, here: list[CustomerState]
) -> None:
    """Reserve or archived to active: a new slot, on track, on no schedule."""
    entering = here[: work.room.take_active_for(len(here), whole=command.all_or_none)]
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


def _not_here(command: Command, state: CustomerState) -> Refusal:
    if state.redacted:
        return is_redacted(command.kind, state.customer)
    return wrong_place(command.kind, state.customer, state.place)


def _superseded(command: Command, state: CustomerState) -> Refusal:
    return Refusal(
        "superseded",
        f"Cannot {command.kind.value} customer {state.customer}: a later command, of "
        f"{state.silenced_at:%Y-%m-%d %H:%M:%S} UTC, silenced it, and it came first. If the "
        "customer is wanted active after all, send a new command.",
    )


def _no_account(target: Target) -> Line:
    refusal = unknown_account(target.command.account)
    return Line(target.customer, target.seq, "refused", *refusal)
