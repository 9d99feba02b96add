"""Settling: writing down what became of sends, and planning what follows."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from domain.commands import Command
from domain.message import Answer, Result
from domain.send import AFTER_ANSWER, SendState, retry_after
from storage import enrolments, inbox, rescues, settles
from storage.accounts import Account, read_account
from storage.database import Connection, Engine, transact
from storage.rescues import Open
from storage.settles import BACK, Course, End, Flight, Settled
from workers.planning import after, fallback_of, moved_by, plan_of

PATIENCE_SECONDS = 120
"""How long an answer is kept in memory for a database that is away."""

DOOR = "delivery"
"""By which a provider's word comes into the inbox."""

Answered = tuple[Flight, Result]


def settle(
    engine: Engine,
    account: str,
    answers: Sequence[Answered],
    provider: str | None,
    commands: Sequence[Command] = (),
) -> None:
    """Settle answered sends: to the ledger, or back to pending for another attempt.

    What the answers say beyond their sends is accepted with them, as commands.
    """
    if answers:
        transact(
            engine,
            lambda connection: _settle(connection, account, answers, provider, commands),
            patience_seconds=PATIENCE_SECONDS,
        )


def _settle(
    connection: Connection,
    account_id: str,
    answers: Sequence[Answered],
    provider: str | None,
    commands: Sequence[Command],
) -> None:
    settles.lock_slots(connection, account_id, sorted({flight.slot for flight, _ in answers}))
    _write(connection, account_id, answers, provider)
    for command in commands:
        inbox.accept(connection, command, DOOR)


def _write(
    connection: Connection, account_id: str, answers: Sequence[Answered], provider: str | None
) -> None:
    """Under the slots' locks, which are held since an earlier statement."""
    account = read_account(connection, account_id)
    assert account is not None, "it has sends"
    settled = _ended(connection, account, answers, provider)
    over = settles.settle(connection, account_id, settled, account.now)
    if over.moved:
        moved = enrolments.read_enrolments(connection, account_id, over.moved)
        plans = [plan_of(connection, account, enrolment) for enrolment in moved]
        enrolments.replan(connection, account_id, plans)
    if over.taken < len(settled):
        settles.resolve_late(connection, account_id, settled)


def _ended(
    connection: Connection, account: Account, answers: Sequence[Answered], provider: str | None
) -> list[Settled]:
    """How each ended; what many have in common is worked out once."""
    ends: dict[tuple[Course, Answer, str], End] = {}
    settled = []
    for flight, result in answers:
        key = (flight.course, result.answer, result.detail)
        end = ends.get(key)
        if end is None:
            end = ends[key] = _end(connection, account, flight.course, result, provider)
        settled.append(Settled(flight.send, flight.token, flight.tid, end, result.provider_id))
    return settled


def _end(
    connection: Connection, account: Account, course: Course, result: Result, provider: str | None
) -> End:
    state, rule = AFTER_ANSWER.get(result.answer), result.answer.value
    wait, other = retry_after(course.attempts), fallback_of(connection, account, course)
    attempts, channel, at, moved = course.attempts, None, None, 0
    if result.answer is Answer.NOT_HANDED_OVER:
        attempts, at = attempts - 1, account.now
    elif result.answer is Answer.TEMPORARY and wait is not None:
        at = account.now + wait
    elif result.answer is Answer.NO_SUCH_RECIPIENT and other is not None:
        state, channel, at, attempts = None, other.value, account.now, 0
    else:
        if state is None:
            state, rule = SendState.FAILED, "attempts_exhausted"
        moved = moved_by(connection, account, course)
        channel, at = after(connection, account, course, moved)
    return End(
        state.value if state else BACK,
        rule,
        result.detail,
        provider if result.answer is not Answer.NOT_RENDERED else None,
        channel,
        at,
        attempts,
        course.zone,
        course.shift_seconds + moved,
    )


def give_back(engine: Engine, account: str, token: UUID) -> None:
    """Return to pending what a start took and did not hand over."""
    taken = transact(
        engine,
        lambda connection: settles.started_with(connection, account, token),
        patience_seconds=PATIENCE_SECONDS,
    )
    result = Result(Answer.NOT_HANDED_OVER, "given back by its worker")
    settle(engine, account, [(flight, result) for flight in taken], provider=None)


def settle_open(engine: Engine, open_: Sequence[Open], result: Result) -> int:
    """Settle started sends that no worker answers for, all with the same result; returns how many.

    What others hold is passed over: whoever asks looks again.
    """
    by_account: dict[str, list[Open]] = {}
    for one in open_:
        by_account.setdefault(one.account, []).append(one)
    return sum(
        transact(engine, partial(_settle_free, account_id=account, open_=ones, result=result))
        for account, ones in by_account.items()
    )


def _settle_free(
    connection: Connection, account_id: str, open_: Sequence[Open], result: Result
) -> int:
    slots = rescues.lock_free_slots(connection, account_id, sorted({one.slot for one in open_}))
    held = rescues.hold_free(connection, account_id, open_, slots)
    if held:
        _write(connection, account_id, [(one, result) for one in held], provider=None)
    return len(held)
