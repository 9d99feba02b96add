"""Applying: what waits for some customers, each one's in order, in one transaction.

A move goes on in its command (domain/commands.py), its rule (domain/journey.py), what it does
(workers/moves.py) and its statements (storage/silence.py).
"""

from collections.abc import Iterator
from itertools import groupby

from domain.commands import (
    Activate,
    AddCustomer,
    AssignSchedule,
    Command,
    ConsentCommand,
    CustomerCommand,
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
    allowed,
    changed_in,
    is_redacted,
    no_longer_matches,
    not_all,
    wrong_place,
)
from domain.refusal import Refusal, unknown_account
from storage import customers, filters, order
from storage.database import Connection
from storage.lines import Line, finish, write_lines
from storage.waiting import Target, read_waiting
from workers import consent, erasing, facts, moves, profiles, schedules, versions
from workers.work import Work


class OvertakenError(Exception):
    """Others took the plan's last places, or set a command aside, while we decided: begin anew."""


class TogetherError(Exception):
    """Commands that ask for all or none are due: all that they wait for is to be held first."""

    def __init__(self, seqs: frozenset[int]) -> None:
        super().__init__()
        self.seqs = seqs


def apply(
    connection: Connection,
    account_id: str,
    names: list[str],
    together: frozenset[int] = frozenset(),
    most: int | None = None,
) -> None:
    """Apply what waits first for these customers: all of it, or `most` commands.

    `together`: commands that ask for all or none, whose customers are all among these. Raises
    OvertakenError and TogetherError; the transaction is then undone.
    """
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
            moves.move_to_directory(work, command, targets, here)
        case Activate() | Reactivate() as command:
            moves.activate(work, seq, command, here)
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
