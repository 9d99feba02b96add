"""Settling: writing down what became of sends, and planning what follows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.message import Answer, Result
from domain.send import AFTER_ANSWER, SendState, retry_after
from storage import accounts, enrolments, settles
from storage.database import Connection, Engine, transact
from storage.enrolments import Plan
from storage.settles import BACK, Open, Over, Settled
from workers.planning import advance_of

PATIENCE_SECONDS = 120
"""How long an answer is kept in memory for a database that is away."""


class InFlight(NamedTuple):
    """What a worker remembers of a send that it started."""

    token: UUID
    slot: int
    attempt: int


def settle(
    engine: Engine,
    account: str,
    in_flight: Mapping[int, InFlight],
    answers: Sequence[tuple[int, Result]],
    provider: str | None,
) -> None:
    """Settle answered sends: to the ledger, or back to pending for another attempt."""
    settled, slots = [], set()
    for send, result in answers:
        flight = in_flight[send]
        slots.add(flight.slot)
        settled.append(_settled(send, flight, result, provider))
    transact(
        engine,
        lambda connection: _settle(connection, account, settled, sorted(slots)),
        patience_seconds=PATIENCE_SECONDS,
    )


def _settled(send: int, flight: InFlight, result: Result, provider: str | None) -> Settled:
    state, rule = AFTER_ANSWER.get(result.answer), result.answer.value
    if result.answer is Answer.TEMPORARY and retry_after(flight.attempt) is None:
        state, rule = SendState.FAILED, "attempts_exhausted"
    return Settled(
        send,
        flight.token,
        state.value if state else BACK,
        rule,
        result.detail,
        provider if result.answer is not Answer.NOT_RENDERED else None,
        result.provider_id,
    )


def _settle(
    connection: Connection, account_id: str, settled: Sequence[Settled], slots: Sequence[int]
) -> None:
    settles.lock_slots(connection, account_id, slots)
    account = accounts.read_account(connection, account_id)
    assert account is not None, "it has sends"
    over = settles.settle(connection, account_id, settled, account.now)
    _follow(connection, account, over, {one.send: one.rule for one in settled})
    if len(over) < len(settled):
        found = {one.send for one in over}
        late = [one for one in settled if one.send not in found]
        settles.resolve_late(connection, account_id, late)


def _follow(
    connection: Connection,
    account: accounts.Account,
    over: Sequence[Over],
    rules: Mapping[int, str],
) -> None:
    live = [one for one in over if one.live]
    advances = [advance_of(connection, account, one) for one in live if one.state != BACK]
    enrolments.advance(connection, account.account, advances, account.now)
    again = [_again(one, rules[one.send], account.now) for one in live if one.state == BACK]
    enrolments.plan(connection, account.account, again)


def _again(over: Over, rule: str, now: datetime) -> Plan:
    """Another attempt at the same step; one that was never handed over does not count."""
    if rule == Answer.TEMPORARY:
        wait = retry_after(over.attempts)
        assert wait is not None, "an exhausted send has failed"
        return _plan(over, now + wait, over.attempts)
    return _plan(over, now, over.attempts - 1)


def _plan(over: Over, due_at: datetime, attempts: int) -> Plan:
    return Plan(over.enrolment, over.step, over.channel, over.planned_at, due_at, attempts)


def give_back(engine: Engine, account: str, token: UUID) -> None:
    """Return to pending what a start took and did not hand over."""
    taken = transact(
        engine,
        lambda connection: settles.started_with(connection, account, token),
        patience_seconds=PATIENCE_SECONDS,
    )
    settle_open(engine, taken, Result(Answer.NOT_HANDED_OVER, "given back by its worker"))


def settle_open(engine: Engine, taken: Sequence[Open], result: Result) -> None:
    """Settle started sends that no worker answers for, all with the same result."""
    for account in {one.account for one in taken}:
        mine = [one for one in taken if one.account == account]
        in_flight = {one.send: InFlight(one.token, one.slot, one.attempts) for one in mine}
        settle(engine, account, in_flight, [(one.send, result) for one in mine], provider=None)
