"""Facts: recorded wherever a customer is; of an active one they move the schedules.

Each is applied in the transaction of its command, under the slot's lock (docs/facts.md).
"""

from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from domain.commands import Record
from domain.customer import CustomerState
from domain.facts import (
    Debt,
    Direction,
    Dispute,
    DisputeOutcome,
    Interaction,
    Invoice,
    Note,
    Payment,
    Promise,
)
from domain.marks import Mark
from domain.opening import moment
from domain.zones import zone_named
from storage import holds, marks, silence
from storage.silence import Ended
from workers.debts import invoice, payment
from workers.holds import settle
from workers.recording import OWED, about, if_any, of_one_currency, read_debts, slots_of, write
from workers.work import Work


def record(work: Work, seq: int, command: Record, here: list[CustomerState]) -> None:
    """Record a fact of these customers, and let it move what they are on."""
    match command.fact:
        case Invoice() as fact:
            invoice(work, seq, fact, here)
        case Payment() as fact:
            payment(work, seq, fact, here)
        case Promise() as fact:
            promise(work, seq, fact, here)
        case Dispute() as fact:
            dispute(work, seq, fact, here)
        case Interaction() as fact:
            interaction(work, seq, fact, here)
        case Note() as fact:
            write(work, seq, fact, here)
            for state in here:
                work.applied(seq, state, "note_recorded", **about(fact.reference))


def promise(work: Work, seq: int, fact: Promise, here: list[CustomerState]) -> None:
    """Hold until its day is over where the customer is; the scheduler's tick then releases."""
    debts = read_debts(work, fact.reference, here)
    here = of_one_currency(work, seq, fact, here, debts)
    write(work, seq, fact, here)
    until = {
        state.slot: _end_of(fact, state.zone or work.account.zone)
        for state in here
        if state.slot is not None and not debts.get(state.customer, Debt()).settled
    }
    to_come = {slot: over for slot, over in until.items() if over > work.account.now}
    marks.put(
        work.connection,
        work.account.account,
        to_come,
        Mark.PROMISED,
        fact.reference,
        amount=None if fact.amount is None else Decimal(fact.amount),
        currency=fact.currency,
        seq=seq,
    )
    _hold(work, seq, here, Mark.PROMISED, fact.reference, "promise_recorded", until=f"{fact.until}")


def _end_of(fact: Promise, zone: str) -> datetime:
    midnight = datetime.combine(fact.until + timedelta(days=1), time())
    return moment(midnight, zone_named(zone))


def dispute(work: Work, seq: int, fact: Dispute, here: list[CustomerState]) -> None:
    """Opened, it holds; upheld, it ends what it held; rejected, that goes on."""
    write(work, seq, fact, here)
    if fact.outcome is None:
        _mark(work, seq, here, Mark.DISPUTED, fact.reference)
        _hold(work, seq, here, Mark.DISPUTED, fact.reference, "dispute_opened")
        return
    account, slots = work.account.account, slots_of(here)
    ended: dict[str, Ended] = {}
    if fact.outcome is DisputeOutcome.UPHELD:
        ended = silence.end_enrolments(
            work.connection,
            account,
            slots,
            reason="dispute_upheld",
            now=work.account.now,
            reference=fact.reference,
            held_by=Mark.DISPUTED.value,
        )
    over = OWED if fact.outcome is DisputeOutcome.UPHELD else (Mark.DISPUTED,)
    marks.remove(work.connection, account, slots, over, fact.reference)
    settle(work.connection, work.account, slots)
    for state in here:
        it = ended.get(state.customer, Ended())
        work.applied(
            seq,
            state,
            "dispute_closed",
            **about(fact.reference),
            outcome=fact.outcome.value,
            **if_any(ended=it.ended),
            cancelled=it.cancelled,
            open=it.open if fact.outcome is DisputeOutcome.UPHELD else None,
        )


def interaction(work: Work, seq: int, fact: Interaction, here: list[CustomerState]) -> None:
    """The customer's word waits for a person; ours is only recorded."""
    write(work, seq, fact, here)
    by: dict[str, Any] = {
        "direction": fact.direction.value,
        **({"by": fact.channel} if fact.channel else {}),
    }
    if fact.direction is Direction.INBOUND:
        _mark(work, seq, here, Mark.REPLIED, fact.reference)
        _hold(work, seq, here, Mark.REPLIED, fact.reference, "interaction_recorded", **by)
        return
    for state in here:
        work.applied(seq, state, "interaction_recorded", **about(fact.reference), **by)


def _mark(
    work: Work, seq: int, here: list[CustomerState], mark: Mark, reference: str | None
) -> None:
    slots = dict.fromkeys(slots_of(here))
    marks.put(work.connection, work.account.account, slots, mark, reference, seq=seq)


def _hold(
    work: Work,
    seq: int,
    here: list[CustomerState],
    mark: Mark,
    reference: str | None,
    event: str,
    **data: Any,
) -> None:
    """Take out what is pending of what the mark holds; what has started is told."""
    slots = slots_of(here)
    open_sends = holds.open_sends(
        work.connection, work.account.account, slots, reference, heeds=mark.value
    )
    taken = settle(work.connection, work.account, slots)
    for state in here:
        work.applied(
            seq,
            state,
            event,
            **about(reference),
            **data,
            cancelled=taken.get(state.customer, 0),
            open=open_sends.get(state.customer, ()),
        )
