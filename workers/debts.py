"""What is owed and paid: invoices and payments, and what they move and end."""

from datetime import timedelta
from decimal import Decimal

from domain.anchors import after_part_payment
from domain.customer import CustomerState
from domain.facts import Debt, Invoice, Payment, is_in_full
from domain.planning import calendar_for, zone_of
from domain.schedule import Ends
from storage import enrolments, holds, marks, silence
from storage.definitions import read_schedule
from storage.enrolments import Enrolment, OfReference
from storage.silence import Ended
from workers.holds import settle
from workers.planning import anchor_now, plan_of
from workers.recording import OWED, about, if_any, of_one_currency, read_debts, slots_of, write
from workers.work import Work


def invoice(work: Work, seq: int, fact: Invoice, here: list[CustomerState]) -> None:
    """What is owed; a changed due date moves what counts from it, and what is paid already ends."""
    before = read_debts(work, fact.reference, here)
    write(work, seq, fact, here)
    after = read_debts(work, fact.reference, here)  # its currency says which payments count
    changed = [
        state
        for state in here
        if fact.due_date and before.get(state.customer, Debt()).due_date != fact.due_date
    ]
    moved = _move(
        work,
        [
            one.enrolment._replace(anchor_date=fact.due_date, shift_seconds=0)
            for one in _runs(work, changed, fact.reference)
            if one.enrolment.anchor_date not in (None, fact.due_date)
        ],
    )
    paid = [state for state in here if after[state.customer].settled]
    ended = _end_paid(work, paid, fact.reference)
    for state in here:
        it = ended.get(state.customer, Ended())
        work.applied(
            seq,
            state,
            "invoice_recorded",
            reference=fact.reference,
            **if_any(moved=moved.get(state.customer, 0), ended=it.ended),
            cancelled=it.cancelled,
            open=it.open or None,
        )


def payment(work: Work, seq: int, fact: Payment, here: list[CustomerState]) -> None:
    """In full, it ends what ends on it; in part, the coming steps count anew from it."""
    debts = read_debts(work, fact.reference, here)
    here = of_one_currency(work, seq, fact, here, debts)
    write(work, seq, fact, here)
    full = [one for one in here if is_in_full(fact, debts.get(one.customer, Debt()))]
    in_full = {state.customer for state in full}
    part = [state for state in here if state.customer not in in_full]
    open_sends = holds.open_sends(
        work.connection, work.account.account, slots_of(part), fact.reference, heeds=Ends.PAID.value
    )
    moved = _move(work, _put_off(work, fact, _runs(work, part, fact.reference, ended_by=Ends.PAID)))
    _keep_promises(work, fact, here)
    ended = _end_paid(work, full, fact.reference)
    settle(work.connection, work.account, slots_of(part))
    for state in here:
        it = ended.get(state.customer, Ended())
        work.applied(
            seq,
            state,
            "payment_recorded",
            **about(fact.reference),
            full=state.customer in in_full,
            **if_any(ended=it.ended, moved=moved.get(state.customer, 0)),
            cancelled=it.cancelled,
            open=it.open if state.customer in in_full else open_sends.get(state.customer),
        )


def _put_off(work: Work, fact: Payment, runs: list[OfReference]) -> list[Enrolment]:
    """What a payment in part lets count anew from it, with its new anchor."""
    paid_at = min(fact.paid_at or work.account.now, work.account.now)
    moved = []
    for enrolment, in_progress in runs:
        schedule = read_schedule(
            work.connection, work.account.account, enrolment.schedule, enrolment.version
        )
        zone = zone_of(enrolment.zone, schedule, work.account.zone)
        before = anchor_now(enrolment)
        after = after_part_payment(
            schedule,
            enrolment.step,
            before,
            zone,
            paid_at,
            calendar=calendar_for(schedule, work.account.holidays),
            in_progress=in_progress,
        )
        if after != before:
            moved.append(_moved_by(enrolment, after - before))
    return moved


def _moved_by(enrolment: Enrolment, span: timedelta) -> Enrolment:
    day, at = enrolment.anchor_date, enrolment.anchor_at
    return enrolment._replace(
        anchor_date=None if day is None else day + span, anchor_at=None if at is None else at + span
    )


def _keep_promises(work: Work, fact: Payment, here: list[CustomerState]) -> None:
    marks.pay_promises(
        work.connection,
        work.account.account,
        slots_of(here),
        fact.reference,
        None if fact.amount is None else Decimal(fact.amount),
        fact.currency,
    )


def _end_paid(work: Work, states: list[CustomerState], reference: str | None) -> dict[str, Ended]:
    """End what ends on a payment, and all that stands for the debt."""
    slots = slots_of(states)
    if not slots:
        return {}
    account = work.account.account
    ended = silence.end_enrolments(
        work.connection,
        account,
        slots,
        reason=Ends.PAID.value,
        now=work.account.now,
        reference=reference,
        ended_by=Ends.PAID.value,
    )
    marks.remove(work.connection, account, slots, OWED, reference)
    settle(work.connection, work.account, slots)
    return ended


def _runs(
    work: Work,
    states: list[CustomerState],
    reference: str | None,
    *,
    ended_by: Ends | None = None,
) -> list[OfReference]:
    slots = slots_of(states)
    if not slots:
        return []
    return enrolments.enrolments_of(
        work.connection, work.account.account, slots, reference, ended_by=ended_by
    )


def _move(work: Work, moved: list[Enrolment]) -> dict[str, int]:
    """Let these count from their new anchors; returns how many of each customer."""
    if moved:
        account = work.account
        enrolments.reanchor(work.connection, account.account, moved)
        plans = [plan_of(work.connection, account, one) for one in moved]
        enrolments.replan(work.connection, account.account, plans)
    counts: dict[str, int] = {}
    for one in moved:
        counts[one.customer] = counts.get(one.customer, 0) + 1
    return counts
