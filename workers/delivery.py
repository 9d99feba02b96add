"""The delivery worker: one reminder from due to settled.

start (under the slot's lock) → gate (domain/gate.py) → render (workers/rendering.py) → hand over
(workers/desk.py, channels/) → settle (workers/settling.py).
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID, uuid4

from config.machine_time import Deadline
from domain.gate import Defer, Facts, Send, Skip, decide
from domain.message import Answer, Channel, Message, Result
from domain.planning import zone_of
from storage import customers, definitions, enrolments, starts
from storage.accounts import Account, read_account
from storage.database import Connection, Engine
from storage.definitions import TemplateVersion
from storage.installation import recipient_hash
from storage.starts import Due
from workers.desk import Desk
from workers.planning import advance_of
from workers.rendering import RenderError, render
from workers.settling import InFlight, give_back, settle

START_AT_MOST = 200
"""Sends started in one transaction at most; also bounded by the channel's free hand-overs."""

HAND_OVER_SECONDS = 30
"""From before a start is asked for to the last byte that may go out, and its lease."""

SLICE_SECONDS = 2
"""How long one account is served before the others have their turn."""


class Started(NamedTuple):
    """A send that nobody else can start, with what its message is made of."""

    due: Due
    template: TemplateVersion


@dataclass
class Delivery:
    """What a delivery process has: opened once, shared by its threads."""

    engine: Engine
    desks: Mapping[Channel, Desk]
    test_desks: Mapping[Channel, Desk]
    """For test accounts, whose messages never leave the machine."""
    key: bytes
    worker: str
    stopping: Callable[[], bool] = lambda: False


def deliver(delivery: Delivery, account: str, channel: Channel) -> bool:
    """Serve one account's due sends for a slice of time; True: there may be more."""
    with delivery.engine.connect() as connection:
        known = read_account(connection, account)
    if known is None:
        return False
    desk = (delivery.desks if known.test_now is None else delivery.test_desks)[channel]
    turn = Deadline.after(SLICE_SECONDS)
    while not turn.passed and not delivery.stopping():
        if not deliver_batch(delivery, desk, account, channel, turn):
            return False
    return True


def deliver_batch(
    delivery: Delivery, desk: Desk, account: str, channel: Channel, patience: Deadline
) -> bool:
    """Start, hand over and settle one batch; False: nothing was due."""
    room = desk.reserve(START_AT_MOST, patience)
    if not room:
        return True
    token, deadline = uuid4(), Deadline.after(HAND_OVER_SECONDS)
    try:
        batch = _start(delivery, account, channel, room, token)
        messages, answered = _render(delivery, batch) if batch else ({}, [])
    except BaseException:
        # Whatever it was, and even if the commit was answered by a lost connection: nothing of
        # this start is handed over.
        desk.give_back(room)
        give_back(delivery.engine, account, token)
        raise
    desk.give_back(room - len(messages))
    if batch is None:
        return False
    in_flight = {
        send: InFlight(token, started.due.slot, started.due.attempts + 1)
        for send, started in batch.started.items()
    }
    if answered:
        settle(delivery.engine, account, in_flight, answered, None)
    for answers in desk.hand_over(list(messages.items()), deadline):
        settle(delivery.engine, account, in_flight, answers, desk.adapter.name)
    return True


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
        held = starts.lock_due(connection, account_id, channel.value, account.now, limit)
        if not held:
            return None
        due = starts.read_due(connection, account_id, held)
        return Batch(account, _gate(delivery, connection, account, due, token))


def _gate(
    delivery: Delivery, connection: Connection, account: Account, due: list[Due], token: UUID
) -> dict[int, Started]:
    """Decide on each, and move it where the decision says."""
    facts = _facts(connection, account, due)
    decided = [(one, fact, decide(fact)) for one, (fact, _) in zip(due, facts, strict=True)]
    _skip(connection, account, [(o, f, d) for o, f, d in decided if isinstance(d, Skip)])
    _defer(connection, account, [(o, d) for o, _, d in decided if isinstance(d, Defer)])
    passed = [
        (one, fact, template)
        for (one, fact, decision), (_, template) in zip(decided, facts, strict=True)
        if isinstance(decision, Send) and template is not None
    ]
    return _take(delivery, connection, account, passed, token)


def _facts(
    connection: Connection, account: Account, due: list[Due]
) -> list[tuple[Facts, TemplateVersion | None]]:
    schedules = [
        definitions.read_schedule(connection, account.account, one.schedule, one.version)
        for one in due
    ]
    names = {
        schedule.steps[one.step].template for one, schedule in zip(due, schedules, strict=True)
    }
    templates = definitions.newest_templates(connection, account.account, names)
    facts = []
    for one, schedule in zip(due, schedules, strict=True):
        step = schedule.steps[one.step]
        template = templates.get(step.template)
        if template is not None and template.definition.channel is not step.channel:
            template = None
        fact = Facts(
            now=account.now,
            due_at=one.planned_at,
            schedule=schedule,
            step=step,
            zone=zone_of(one.zone, schedule, account.zone),
            recipient=one.recipient,
            template_exists=template is not None,
            sender=sender_of(account, step.channel),
        )
        facts.append((fact, template))
    return facts


def sender_of(account: Account, channel: Channel) -> str | None:
    """Who an account's messages come from; None: it has not said."""
    return account.email_from if channel is Channel.EMAIL else account.sms_from or account.name


def _skip(connection: Connection, account: Account, skipped: list[tuple[Due, Facts, Skip]]) -> None:
    if not skipped:
        return
    starts.skip(
        connection,
        account.account,
        [
            starts.Skipped(one.enrolment, decision.rule, decision.reason, _record(one, fact))
            for one, fact, decision in skipped
        ],
        account.now,
    )
    advances = [advance_of(connection, account, one) for one, _, _ in skipped]
    enrolments.advance(connection, account.account, advances, account.now)


def _defer(connection: Connection, account: Account, deferred: list[tuple[Due, Defer]]) -> None:
    if deferred:
        until = [(one.enrolment, decision.until) for one, decision in deferred]
        starts.defer(connection, account.account, until)


def _take(
    delivery: Delivery,
    connection: Connection,
    account: Account,
    passed: list[tuple[Due, Facts, TemplateVersion]],
    token: UUID,
) -> dict[int, Started]:
    if not passed:
        return {}
    for status in {fact.step.sets_status for _, fact, _ in passed} - {None}:
        slots = [one.slot for one, fact, _ in passed if fact.step.sets_status is status]
        customers.set_status(connection, account.account, slots, status)  # type: ignore[arg-type] # None is taken out
    sends = starts.take(
        connection,
        account.account,
        [
            starts.Start(
                one.enrolment,
                template.template,
                template.version,
                recipient_hash(delivery.key, one.recipient or ""),
                _record(one, fact),
            )
            for one, fact, template in passed
        ],
        token=token,
        now=account.now,
        lease_seconds=HAND_OVER_SECONDS,
        worker=delivery.worker,
    )
    return {sends[one.enrolment]: Started(one, template) for one, _, template in passed}


def _record(due: Due, facts: Facts) -> str:
    """What was decided on, for whoever asks later; no personal data."""
    return json.dumps(
        {
            "schedule": due.schedule,
            "version": due.version,
            "zone": facts.zone.key,
            "now": facts.now.isoformat(),
            "due_at": facts.due_at.isoformat(),
        }
    )


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
    channel = Channel(due.channel)
    sender = sender_of(account, channel)
    assert due.recipient is not None, "the gate skips who can't be reached"
    assert sender is not None, "the gate defers what has no sender"
    rendered = render(template.text_in(due.language or account.language), _values(account, due))
    return Message(
        key=message_key(key, account.account, due.enrolment, due.step),
        channel=channel,
        recipient=due.recipient,
        sender=sender,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
    )


def _values(account: Account, due: Due) -> dict[str, object]:
    return {
        **due.values,
        "customer": due.customer,
        "name": due.name or "",
        "reference": due.reference,
        "due_date": due.anchor_date.isoformat() if due.anchor_date else "",
        "account": account.name or account.account,
    }


def message_key(key: bytes, account: str, enrolment: int, step: int) -> str:
    """One name per step for every attempt at it, which tells nothing to whoever sees it."""
    name = f"{account}/{enrolment}/{step}".encode()
    return hashlib.blake2b(name, key=key[:64], digest_size=16).hexdigest()
