"""Who is on which schedule: assigned, removed, paused, resumed, paid."""

from datetime import datetime

from domain.commands import AssignSchedule, Record, RemoveFromSchedule
from domain.customer import CustomerState
from domain.journey import Place, Status
from domain.planning import Anchor
from domain.refusal import Refusal
from domain.schedule import AnchorKind
from storage import customers, definitions, enrolments, facts, silence
from storage.silence import Ended
from workers.consent import closed_to
from workers.planning import plan_of
from workers.work import Work

PAUSED = "paused"


def assign(work: Work, seq: int, command: AssignSchedule, here: list[CustomerState]) -> None:
    """Enrol in the newest version, and plan its first send unless the customer is paused."""
    version = definitions.newest_schedule(work.connection, work.account.account, command.schedule)
    anchor = _anchor(work, command, version)
    if version is None or isinstance(anchor, Refusal):
        for state in here:
            work.refused(seq, state, _unknown(command) if version is None else anchor)  # type: ignore[arg-type]
        return
    definition = definitions.read_schedule(
        work.connection, work.account.account, command.schedule, version
    )
    closed = closed_to(work, command.schedule, definition, here)
    enrolled = enrolments.enrol(
        work.connection,
        work.account.account,
        [s.slot for s in here if s.slot is not None and s.customer not in closed],
        schedule=command.schedule,
        version=version,
        reference=command.reference,
        anchor=anchor,
        values=command.values,
    )
    plans = [plan_of(work.connection, work.account, enrolment) for enrolment in enrolled]
    enrolments.plan(work.connection, work.account.account, plans)
    on_it = {enrolment.customer for enrolment in enrolled}
    for state in here:
        if state.customer in on_it:
            work.applied(
                seq, state, "schedule_assigned", schedule=command.schedule, version=version
            )
        else:
            refusal = closed.get(state.customer) or _already_on(command, state)
            work.refused(seq, state, refusal)


def _anchor(work: Work, command: AssignSchedule, version: int | None) -> Anchor | Refusal:
    if version is None:
        return _unknown(command)
    schedule = definitions.read_schedule(
        work.connection, work.account.account, command.schedule, version
    )
    if schedule.anchor is AnchorKind.ASSIGNED_AT:
        if command.due_date is not None:
            return Refusal(
                "anchor",
                f"Cannot assign schedule {command.schedule} with a due_date: it counts from the "
                "moment of the assignment. Leave due_date out.",
            )
        return work.account.now
    if command.due_date is None:
        return Refusal(
            "anchor",
            f"Cannot assign schedule {command.schedule} without a due_date: it counts from one. "
            'Give it, as in "due_date": "2026-12-01".',
        )
    return command.due_date


def remove(work: Work, seq: int, command: RemoveFromSchedule, here: list[CustomerState]) -> None:
    """End one schedule's enrolments, with what is pending."""
    ended = _end(work, here, "removed", schedule=command.schedule, reference=command.reference)
    for state in here:
        if state.customer not in ended:
            work.refused(seq, state, _not_on(command, state))
            continue
        it = ended[state.customer]
        work.applied(
            seq,
            state,
            "schedule_removed",
            schedule=command.schedule,
            cancelled=it.cancelled,
            open=it.open,
        )


def record_payment(work: Work, seq: int, command: Record, here: list[CustomerState]) -> None:
    """Record it; in full, end the schedules that a payment ends."""
    account, payment = work.account, command.fact
    names = [state.customer for state in here]
    facts.add(work.connection, account.account, names, payment.fact, payment, seq, account.now)
    customers.mark_kept(work.connection, account.account, names)
    active = [state for state in here if state.place is Place.ACTIVE]
    ended: dict[str, Ended] = {}
    if payment.full:
        ended = _end(work, active, "paid", reference=payment.reference, ended_by="paid")
        slots = [state.slot for state in active if state.slot is not None]
        customers.set_status(work.connection, account.account, slots, Status.ON_TRACK)
    for state in here:
        it = ended.get(state.customer, Ended())
        work.applied(
            seq,
            state,
            "payment_recorded",
            full=payment.full,
            ended=it.ended,
            cancelled=it.cancelled,
            open=it.open if payment.full else None,
        )


def _end(
    work: Work,
    states: list[CustomerState],
    reason: str,
    *,
    schedule: str | None = None,
    reference: str | None = None,
    ended_by: str | None = None,
) -> dict[str, Ended]:
    return silence.end_enrolments(
        work.connection,
        work.account.account,
        [state.slot for state in states if state.slot is not None],
        reason=reason,
        now=work.account.now,
        schedule=schedule,
        reference=reference,
        ended_by=ended_by,
    )


def pause(work: Work, seq: int, here: list[CustomerState]) -> None:
    """Take out what is pending; each schedule keeps its place."""
    open_sends = silence.open_sends(
        work.connection, work.account.account, [state.customer for state in here]
    )
    held = hold(work, here)
    for state in here:
        work.applied(
            seq,
            state,
            "customer_paused",
            cancelled=held.get(state.customer, 0),
            open=tuple(open_sends.get(state.customer, ())),
        )


def hold(work: Work, here: list[CustomerState]) -> dict[str, int]:
    """Pause slots; returns how many pending sends of each customer that took out."""
    account = work.account.account
    slots = [state.slot for state in here if state.slot is not None]
    set_paused(work, slots, work.account.now)
    return silence.hold_enrolments(work.connection, account, slots, PAUSED)


def set_paused(work: Work, slots: list[int], at: datetime | None) -> None:
    customers.set_paused(work.connection, work.account.account, slots, at)


def resume(work: Work, seq: int, here: list[CustomerState]) -> None:
    """Plan each held step anew, for the moment it was due at; the gate decides what is too late."""
    account = work.account.account
    slots = [state.slot for state in here if state.slot is not None]
    set_paused(work, slots, None)
    released = silence.release_enrolments(work.connection, account, slots, PAUSED)
    to_plan = enrolments.read_enrolments(work.connection, account, released)
    plans = [plan_of(work.connection, work.account, enrolment) for enrolment in to_plan]
    enrolments.plan(work.connection, account, plans)
    for state in here:
        work.applied(seq, state, "customer_resumed")


def _unknown(command: AssignSchedule) -> Refusal:
    return Refusal(
        "unknown_schedule",
        f"There is no schedule {command.schedule}. Bring it with put_schedule first.",
    )


def _already_on(command: AssignSchedule, state: CustomerState) -> Refusal:
    run = f" for {command.reference}" if command.reference else ""
    return Refusal(
        "already_on_schedule",
        f"Cannot put customer {state.customer} on schedule {command.schedule}{run}: it is on it "
        "already. Remove it first, or give another reference.",
    )


def _not_on(command: RemoveFromSchedule, state: CustomerState) -> Refusal:
    run = f" for {command.reference}" if command.reference else ""
    return Refusal(
        "not_on_schedule",
        f"Cannot take customer {state.customer} off schedule {command.schedule}{run}: it is not "
        "on it. There is nothing to do.",
    )
