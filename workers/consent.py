"""Who may be written to: what each word cancels, and the lifting of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from domain.commands import (
    Block,
    ConsentCommand,
    LiftingWord,
    OptIn,
    OptOut,
    SilencingWord,
    Suppress,
    Unblock,
    Unsuppress,
)
from domain.consent import closes, closes_all
from domain.consent_words import (
    closed,
    has_it_no_more,
    nothing_to_lift,
    superseded,
    unknown_schedule,
)
from domain.customer import CustomerState
from domain.journey import SILENCING_WORDS
from domain.refusal import Refusal
from domain.schedule import Schedule
from domain.suppression import Aim, Suppression, SuppressionKind
from storage import definitions, enrolments, forbidden, order, silence, suppressions
from storage.accounts import Account
from storage.database import Connection
from storage.enrolments import Enrolment
from storage.forbidden import Moved, Passed
from storage.suppressions import Reach, Recorded, Standing
from storage.waiting import Target
from workers.planning import after, plan_of
from workers.work import Work

KIND = {
    Block: SuppressionKind.BLOCKED,
    Unblock: SuppressionKind.BLOCKED,
    OptOut: SuppressionKind.OPTED_OUT,
    OptIn: SuppressionKind.OPTED_OUT,
    Suppress: SuppressionKind.SUPPRESSED,
    Unsuppress: SuppressionKind.SUPPRESSED,
}
"""What a command records or lifts."""

_DONE = {
    Block: "blocked",
    Unblock: "unblocked",
    OptOut: "opted_out",
    OptIn: "opted_in",
    Suppress: "suppressed",
    Unsuppress: "unsuppressed",
}


def event(command: ConsentCommand) -> str:
    """Call what a command did, in the journal."""
    return f"{command.aim.value}_{_DONE[type(command)]}"


def said(command: ConsentCommand) -> dict[str, Any]:
    """Tell what a command said, in the journal; of a person it holds nothing."""
    told: dict[str, Any] = {"channels": [channel.value for channel in command.channels]}
    if command.schedule is not None:
        told["schedule"] = command.schedule
    if isinstance(command, OptIn):
        told["consent"] = command.consent.model_dump(mode="json")
    return told


def no_such_schedule(connection: Connection, command: ConsentCommand) -> Refusal | None:
    """Refuse an order of silence for a schedule that is not there: it would silence nothing."""
    if command.schedule is None or definitions.newest_schedule(
        connection, command.account, command.schedule
    ):
        return None
    return unknown_schedule(command.schedule)


def apply(work: Work, command: ConsentCommand, target: Target, here: list[CustomerState]) -> None:
    """Silence, or lift a silence, for those who are held."""
    if isinstance(command, SilencingWord):
        silence_by(work, command, target, here)
    else:
        assert isinstance(command, LiftingWord), "it is one or the other"
        lift_by(work, command, target, here)


def silence_by(
    work: Work, command: SilencingWord, target: Target, here: list[CustomerState]
) -> None:
    """Record it, and take out what it forbids; from the commit on, nothing of that can start."""
    refusal = no_such_schedule(work.connection, command)
    reaches = suppressions.read_reach(
        work.connection, work.account.account, [state.customer for state in here]
    )
    silenced = []
    for state in here:
        if refusal is not None:
            work.refused(target.seq, state, refusal)
        elif command.recipient not in (None, *reaches[state.customer].recipients):
            work.refused(target.seq, state, has_it_no_more(command, state.customer))
        else:
            silenced.append(state)
    if command.recipient is None:
        _record(work, command, target, [reaches[state.customer] for state in silenced])
    against = _against(work, command, silenced, reaches)
    out = take_out(work, command, silenced, against)
    for state in silenced:
        work.applied(
            target.seq,
            state,
            event(command),
            cancelled=out.cancelled[state.customer],
            open=out.open.get(state.customer, ()),
            **said(command),
        )


def _record(work: Work, command: SilencingWord, target: Target, reaches: Iterable[Reach]) -> None:
    """Each customer, and the addresses that it has now: whoever comes back under another id."""
    recorded = [
        Recorded(one, channel, None if one.aim is Aim.CUSTOMER else reach.customer)
        for reach in reaches
        for one in reach.targets
        if one.aim is not Aim.DOMAIN
        for channel in command.channels
        if channel in one.aim.channels
    ]
    record(work.connection, work.account, command, recorded, target.order_at)


def record(
    connection: Connection,
    account: Account,
    command: SilencingWord,
    recorded: Sequence[Recorded],
    order_at: datetime,
) -> None:
    """Record what a command says of these."""
    suppressions.record(
        connection,
        account.account,
        recorded,
        KIND[type(command)],
        schedule=command.schedule or "",
        order_at=order_at,
        command=command.id,
        source=command.source,
        now=account.now,
    )


def _against(
    work: Work,
    command: SilencingWord,
    silenced: list[CustomerState],
    reaches: Mapping[str, Reach],
) -> dict[str, list[Suppression]]:
    """What forbids sends to each customer: this command, and all that was said before."""
    found = suppressions.find(
        work.connection, work.account.account, [reaches[state.customer] for state in silenced]
    )
    own = [
        Suppression(KIND[type(command)], command.aim, channel, command.schedule or "")
        for channel in command.channels
    ]
    return {
        state.customer: own + [one.suppression for one in found.get(state.customer, ())]
        for state in silenced
    }


class TakenOut(NamedTuple):
    """What a silence came to, by customer. `open`: what it forbids, started and not settled."""

    cancelled: Counter[str]
    open: dict[str, tuple[int, ...]]


def take_out(
    work: Work,
    command: SilencingWord,
    silenced: list[CustomerState],
    against: Mapping[str, list[Suppression]],
) -> TakenOut:
    """End what has no way to go any more; what has one goes on with the first step that has.

    A step that is held, or still started, stays where it is: its release and its settling plan
    what comes, and the gate decides.
    """
    connection, account, now = work.connection, work.account.account, work.account.now
    ended: list[int] = []
    passed: list[Passed] = []
    moved: list[Moved] = []
    slots = [state.slot for state in silenced if state.slot is not None]
    for enrolment, pending in enrolments.read_live(connection, account, slots, command.schedule):
        schedule = definitions.read_schedule(
            connection, account, enrolment.schedule, enrolment.version
        )
        found = against[enrolment.customer]
        if closes_all(schedule.steps_from(enrolment.step), enrolment.schedule, found):
            ended.append(enrolment.enrolment)
        elif pending and closes(schedule.step_at(enrolment.step), enrolment.schedule, found):
            over, to = _pass_over(work, enrolment, schedule, found)
            passed += over
            moved.append(to)
    reason = KIND[type(command)].value
    cancelled = Counter(silence.end_these(connection, account, ended, reason, now))
    cancelled.update(forbidden.pass_over(connection, account, passed, moved, reason, now))
    names = [state.customer for state in silenced]
    return TakenOut(
        cancelled,
        forbidden.open_sends(
            connection,
            account,
            names,
            channels=command.channels,
            schedule=command.schedule,
            ended=ended,
        ),
    )


def _pass_over(
    work: Work, enrolment: Enrolment, schedule: Schedule, found: list[Suppression]
) -> tuple[list[Passed], Moved]:
    """From the present step, which has no way to go, to the first later one that has."""
    present = plan_of(work.connection, work.account, enrolment)
    at = Moved(enrolment.enrolment, present.step, present.channel, present.planned_at)
    passed = []
    while closes(schedule.step_at(at.step), enrolment.schedule, found):
        passed.append(Passed(*at))
        before = enrolment._replace(step=at.step)
        channel, planned_at = after(work.connection, work.account, before)
        assert channel is not None, "a later step has a way to go"
        assert planned_at is not None, "as it has a channel"
        at = Moved(enrolment.enrolment, at.step + 1, channel, planned_at)
    return passed, at


def lift_by(work: Work, command: LiftingWord, target: Target, here: list[CustomerState]) -> None:
    """Lift what the same kind of word has silenced; what it cancelled stays cancelled."""
    names = [state.customer for state in here]
    reaches = suppressions.read_reach(work.connection, work.account.account, names)
    found = suppressions.find(work.connection, work.account.account, reaches.values())
    beside = suppressions.recorded_beside(work.connection, work.account.account, names)
    lifted: list[Standing] = []
    for state in here:
        standing = found.get(state.customer, [])
        known = {*standing, *(one for one in beside if one.customer == state.customer)}
        mine = [one for one in known if lifts(command, one) and one.target.aim is not Aim.DOMAIN]
        if is_superseded(work.connection, command, target.seq, target.order_at, mine):
            refusal = superseded(command, state.customer)
            work.refused(target.seq, state, refusal, superseded=True)
        elif not mine and command.recipient is None:
            others = [one.suppression for one in standing]
            work.refused(target.seq, state, nothing_to_lift(command, state.customer, others))
        else:
            lifted += mine
            work.applied(target.seq, state, event(command), **said(command))
    suppressions.lift(work.connection, work.account.account, lifted)


def is_superseded(
    connection: Connection,
    command: LiftingWord,
    seq: int,
    order_at: datetime,
    standing: Iterable[Standing],
) -> bool:
    """Whether what it would lift was said by a command that was issued later."""
    if all(one.order_at <= order_at for one in standing):
        return False
    return command.issued_at is not None or order.silenced_since(
        connection, command.account, seq, order_at, SILENCING_WORDS
    )


def lifts(command: LiftingWord, one: Standing) -> bool:
    return (
        one.kind is KIND[type(command)]
        and one.channel in command.channels
        and command.schedule in (None, one.schedule)
    )


def closed_to(
    connection: Connection, account: str, name: str, schedule: Schedule, customers: Sequence[str]
) -> dict[str, Refusal]:
    """Those of these customers to whom no step of a schedule has a way to go."""
    if not suppressions.exist(connection, account):
        return {}
    reaches = suppressions.read_reach(connection, account, customers)
    found = suppressions.find(connection, account, reaches.values())
    return {
        customer: closed(name, customer, against)
        for customer, standing in found.items()
        if closes_all(schedule.steps, name, against := [one.suppression for one in standing])
    }
