"""Who is on which schedule: assigned, removed, paused, resumed."""

from datetime import datetime
from typing import Any

from domain.commands import AssignSchedule, RemoveFromSchedule, Resume, Resumed
from domain.customer import CustomerState
from domain.facts import Debt
from domain.marks import Mark
from domain.planning import Anchor
from domain.refusal import Refusal
from domain.schedule import AnchorKind, Ends
from storage import customers, definitions, enrolments, facts, marks, silence
from storage.silence import Ended
from workers import holds
from workers.consent import closed_to
from workers.planning import plan_of
from workers.work import Work


def assign(work: Work, seq: int, command: AssignSchedule, here: list[CustomerState]) -> None:
    """Enrol in the newest version, and plan its first send unless something holds it."""
    version = definitions.newest_schedule(work.connection, work.account.account, command.schedule)
    anchor = _anchor(work, command, version)
    if version is None or isinstance(anchor, Refusal):
        for state in here:
            work.refused(seq, state, _unknown(command) if version is None else anchor)  # type: ignore[arg-type]
        return
    here = _not_paid(work, seq, command, version, here)
    definition = definitions.read_schedule(
        work.connection, work.account.account, command.schedule, version
    )
    closed = closed_to(
        work.connection,
        work.account.account,
        command.schedule,
        definition,
        [state.customer for state in here],
    )
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
                seq,
                state,
                "schedule_assigned",
                schedule=command.schedule,
                version=version,
                **_about(command.reference),
            )
        else:
            refusal = closed.get(state.customer) or _already_on(command, state)
            work.refused(seq, state, refusal)


def _about(reference: str | None) -> dict[str, Any]:
    """Which of a customer's debts, bookings or orders it is about, if it was said."""
    return {"reference": reference} if reference else {}


def _not_paid(
    work: Work, seq: int, command: AssignSchedule, version: int, here: list[CustomerState]
) -> list[CustomerState]:
    """Those who are not known to have paid what a schedule is about that ends on it."""
    account, names = work.account.account, [state.customer for state in here]
    schedule = definitions.read_schedule(work.connection, account, command.schedule, version)
    if not command.reference or Ends.PAID not in schedule.ends:
        return here
    debts = facts.read_debts(work.connection, account, names, command.reference)
    paid = [state for state in here if debts.get(state.customer, Debt()).settled]
    for state in paid:
        work.refused(seq, state, _is_paid(command, state))
    return [state for state in here if state not in paid]


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
            **_about(command.reference),
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
    return _set_paused(work, here, work.account.now)


def _set_paused(work: Work, here: list[CustomerState], at: datetime | None) -> dict[str, int]:
    slots = [state.slot for state in here if state.slot is not None]
    customers.set_paused(work.connection, work.account.account, slots, at)
    return holds.settle(work.connection, work.account, slots)


def resume(work: Work, seq: int, command: Resume, here: list[CustomerState]) -> None:
    """End a pause, or what a reply held; what nothing else holds goes on."""
    if command.hold is Resumed.PAUSED:
        _set_paused(work, here, None)
    else:
        slots = [state.slot for state in here if state.slot is not None]
        marks.remove(
            work.connection, work.account.account, slots, [Mark.REPLIED], command.reference
        )
        holds.settle(work.connection, work.account, slots)
    told: dict[str, Any] = {} if command.hold is Resumed.PAUSED else {"hold": command.hold.value}
    for state in here:
        work.applied(seq, state, "customer_resumed", **told)


def _unknown(command: AssignSchedule) -> Refusal:
    return Refusal(
        "unknown_schedule",
        f"There is no schedule {command.schedule}. Bring it with put_schedule first.",
    )


def _is_paid(command: AssignSchedule, state: CustomerState) -> Refusal:
    return Refusal(
        "paid",
        f"Cannot put customer {state.customer} on schedule {command.schedule} for "
        f"{command.reference}: it is paid, and the schedule ends on that. A debt that is another "
        "one needs a reference of its own; one that has grown, an invoice fact with its amount.",
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
