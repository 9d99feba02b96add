"""The delivery worker: one reminder from due to settled.

start (under the slot's lock) → gate (workers/deciding.py, domain/gate.py) → render
(workers/rendering.py) → hand over (workers/desk.py, channels/) → settle (workers/settling.py).
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID, uuid4

from config.machine_time import Deadline
from domain.decision import Defer, Divert, Send, Skip
from domain.gate import NOT_YET
from domain.message import Answer, Channel, Message, Result
from domain.planning import anchor_of
from storage import enrolments, starts
from storage.accounts import Account, read_account
from storage.database import Connection, Engine, reading
from storage.definitions import TemplateVersion
from storage.installation import recipient_hash
from storage.settles import Course, Flight
from storage.starts import Due
from workers.asking import count_back, sender_of
from workers.bounces import suppression
from workers.deciding import Decided, decide_all
from workers.desk import Desk
from workers.fence import Fence
from workers.holds import note_steps
from workers.planning import advance_of
from workers.rendering import RenderError, render
from workers.settling import give_back, settle
from workers.turns import Turn

START_AT_MOST = 200
"""Sends started in one transaction at most; also bounded by the channel's free hand-overs."""

HAND_OVER_SECONDS = 30
"""From before a start is asked for to the last byte that may go out, and its lease."""


class Started(NamedTuple):
    """A send that nobody else can start, with what its message is made of."""

    flight: Flight
    due: Due
    template: TemplateVersion
    due_date: date | None
    """What the text names: of a schedule that goes from one to the next, the present one."""


@dataclass
class Delivery:
    """What a delivery process has: opened once, shared by its threads."""

    engine: Engine
    desks: Mapping[Channel, Desk]
    test_desks: Mapping[Channel, Desk]
    """For test accounts, whose messages never leave the machine."""
    key: bytes
    worker: str
    start_at_most: int = START_AT_MOST
    stopping: Callable[[], bool] = lambda: False
    fence: Fence | None = None


def deliver(delivery: Delivery, account: str, channel: Channel) -> bool:
    """Serve one account's due sends for a turn; True: there may be more."""
    if delivery.fence is not None and delivery.fence.holds():
        return False
    with reading(delivery.engine) as connection:
        known = read_account(connection, account)
    if known is None:
        return False
    desk = (delivery.desks if known.test_now is None else delivery.test_desks)[channel]
    turn = Turn(desk, account)
    while not turn.over and not delivery.stopping():
        if not deliver_batch(delivery, turn, account, channel):
            return False
    return True


def deliver_batch(delivery: Delivery, desk: Turn, account: str, channel: Channel) -> bool:
    """Start, hand over and settle one batch; False: nothing was due."""
    room = desk.reserve(delivery.start_at_most, desk.patience)
    if not room:
        return True
    token, deadline = uuid4(), Deadline.after(HAND_OVER_SECONDS)
    try:
        batch = _start(delivery, account, channel, room, token)
        messages, answered = _render(delivery, batch) if batch else ({}, [])
        flights = {send: one.flight for send, one in batch.started.items()} if batch else {}
        unsent = [(flights[send], result) for send, result in answered]
        settle(delivery.engine, account, unsent, None)
    except BaseException:
        # Whatever it was, and even if the commit was answered by a lost connection: nothing of
        # this start is handed over.
        desk.give_back(room)
        give_back(delivery.engine, account, token)
        raise
    desk.give_back(room - len(messages))
    if batch is None:
        return False
    for answers in desk.hand_over(list(messages.items()), deadline):
        known = [(flights[send], result) for send, result in answers]
        words = [
            word
            for send, result in answers
            if result.answer is Answer.NO_SUCH_RECIPIENT
            and (word := suppression(account, messages[send], desk.adapter.name, result))
        ]
        settle(delivery.engine, account, known, desk.adapter.name, words)
    return True


def _flight(send: int, token: UUID, tid: str, due: Due, now: datetime, channel: Channel) -> Flight:
    held = due.held
    course = Course(
        held.step,
        held.attempts + 1,
        due.schedule,
        due.version,
        due.anchor_date,
        due.anchor_at,
        due.zone,
        due.shift_seconds,
        held.planned_at,
        now,
        channel,
    )
    return Flight(send, token, tid, held.enrolment, held.slot, course)


class Batch(NamedTuple):
    """What one start took out of pending; the skipped and the deferred are done with."""

    account: Account
    started: dict[int, Started]


def _start(
    delivery: Delivery, account_id: str, channel: Channel, limit: int, token: UUID
) -> Batch | None:
    with delivery.engine.begin() as connection:
        account = read_account(connection, account_id)
        if account is None:
            return None
        seen = delivery.fence.seen if delivery.fence is not None else 0
        held = starts.lock_due(connection, account_id, channel, account.now, limit, seen)
        if not held:
            return None
        together = max(Counter(one.customer for one in held).values())
        back = count_back(account, channel, together)
        due, paused = starts.read_due(connection, account_id, channel, held, back)
        if paused.sends_nothing_by(channel):
            return None
        decided = decide_all(connection, account, channel, due, paused)
        _skip(connection, account, [one for one in decided if isinstance(one.decision, Skip)])
        _defer(connection, account, [one for one in decided if isinstance(one.decision, Defer)])
        _divert(connection, [one for one in decided if isinstance(one.decision, Divert)])
        passed = [one for one in decided if isinstance(one.decision, Send)]
        return Batch(account, _take(delivery, connection, account, passed, token))


def _skip(connection: Connection, account: Account, decided: list[Decided]) -> None:
    skipped = [
        starts.Skipped(one.due.held, one.decision.rule, one.decision.reason, one.record)
        for one in decided
        if isinstance(one.decision, Skip)
    ]
    if skipped:
        starts.skip(connection, account.account, skipped, account.now)
        # Planned by the zone as it is under the locks: its change plans anew what it finds planned.
        known = read_account(connection, account.account) or account
        advances = [advance_of(connection, known, one.due) for one in decided]
        enrolments.advance(connection, account.account, advances, account.now)


def _defer(connection: Connection, account: Account, decided: list[Decided]) -> None:
    deferred = [
        starts.Deferred(
            one.due.held,
            one.decision.until,
            one.decision.rule,
            None if one.decision.rule in NOT_YET else one.record,
        )
        for one in decided
        if isinstance(one.decision, Defer)
    ]
    if deferred:
        starts.defer(connection, account.account, deferred, account.now)


def _divert(connection: Connection, decided: list[Decided]) -> None:
    diverted = [
        (one.due.held, one.decision.channel.value, one.decision.rule)
        for one in decided
        if isinstance(one.decision, Divert)
    ]
    if diverted:
        starts.divert(connection, diverted)


def _take(
    delivery: Delivery,
    connection: Connection,
    account: Account,
    passed: list[Decided],
    token: UUID,
) -> dict[int, Started]:
    if not passed:
        return {}
    _set_statuses(connection, account, passed)
    going = [
        (one, one.ruling.template, recipient_hash(delivery.key, one.due.recipient or ""))
        for one in passed
        if one.ruling.template is not None
    ]
    taken = starts.take(
        connection,
        account.account,
        [
            starts.Start(one.due.held, hash_, (template.template, template.version, one.record))
            for one, template, hash_ in going
        ],
        token=token,
        now=account.now,
        lease_seconds=HAND_OVER_SECONDS,
        worker=delivery.worker,
    )
    started = {}
    for one, template, _ in going:
        send, tid = taken[one.due.held.enrolment]
        flight = _flight(send, token, tid, one.due, account.now, template.definition.channel)
        started[send] = Started(flight, one.due, template, _due_date(one))
    return started


def _due_date(one: Decided) -> date | None:
    first = one.due.anchor_date
    return None if first is None else anchor_of(one.ruling.schedule, one.due.step, first)


def _set_statuses(connection: Connection, account: Account, passed: list[Decided]) -> None:
    begun = [
        (one.due.held.slot, one.due.reference, one.ruling.step.sets_status)
        for one in passed
        if one.ruling.step.sets_status is not None
    ]
    if begun:
        note_steps(connection, account.account, begun)


def _render(
    delivery: Delivery, batch: Batch
) -> tuple[dict[int, Message], list[tuple[int, Result]]]:
    """The messages to hand over; and what can't be filled in, answered already."""
    messages, answered = {}, []
    for send, started in batch.started.items():
        try:
            messages[send] = _message(delivery.key, batch.account, started)
        except RenderError as error:
            name, version = started.template.template, started.template.version
            detail = f"template {name}, version {version}: {error}"
            answered.append((send, Result(Answer.NOT_RENDERED, detail)))
    return messages, answered


def _message(key: bytes, account: Account, started: Started) -> Message:
    due, template = started.due, started.template.definition
    channel = template.channel
    sender = sender_of(account, channel)
    assert due.recipient is not None, "the gate skips who can't be reached"
    assert sender is not None, "the gate defers what has no sender"
    rendered = render(template.text_in(due.language or account.language), _values(account, started))
    return Message(
        key=message_key(key, account.account, due.held.enrolment, due.held.step),
        channel=channel,
        recipient=due.recipient,
        sender=sender,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
    )


def _values(account: Account, started: Started) -> dict[str, object]:
    due, due_date = started.due, started.due_date
    return {
        **due.values,
        "customer": due.held.customer,
        "name": due.name or "",
        "reference": due.reference,
        "due_date": due_date.isoformat() if due_date else "",
        "account": account.name or account.account,
    }


def message_key(key: bytes, account: str, enrolment: int, step: int) -> str:
    """One name per step for every attempt at it, which tells nothing to whoever sees it."""
    hash_ = _keyed(key).copy()
    hash_.update(f"{account}/{enrolment}/{step}".encode())
    return hash_.hexdigest()


@lru_cache(maxsize=16)
def _keyed(key: bytes) -> "hashlib.blake2b":
    return hashlib.blake2b(key=key[:64], digest_size=16)
