"""What all facts have in common: written down, told, and reckoned with a debt."""

from collections.abc import Mapping
from typing import Any

from domain.customer import CustomerState
from domain.facts import (
    Debt,
    Dispute,
    Interaction,
    Invoice,
    Note,
    Payment,
    Promise,
    is_other_currency,
)
from domain.marks import Mark
from domain.refusal import Refusal
from storage import customers, facts
from workers.work import Work

OWED = (Mark.PROMISED, Mark.DISPUTED, Mark.LATE)
"""What ends with the debt. A reply still waits for a person."""


def write(
    work: Work,
    seq: int,
    fact: Invoice | Payment | Promise | Dispute | Interaction | Note,
    here: list[CustomerState],
) -> None:
    """Record it, and that these customers are kept for it."""
    account, names = work.account, [state.customer for state in here]
    facts.add(work.connection, account.account, names, fact.fact, fact, seq, account.now)
    if not isinstance(fact, Note):
        customers.mark_kept(work.connection, account.account, names)


def read_debts(work: Work, reference: str | None, here: list[CustomerState]) -> dict[str, Debt]:
    """What is known of a debt; of all that a customer owes there is no sum."""
    if reference is None:
        return {}
    names = [state.customer for state in here]
    return facts.read_debts(work.connection, work.account.account, names, reference)


def of_one_currency(
    work: Work,
    seq: int,
    fact: Payment | Promise,
    here: list[CustomerState],
    debts: Mapping[str, Debt],
) -> list[CustomerState]:
    """Those of whom the amount can be reckoned with; the others are refused."""
    good = []
    for state in here:
        debt = debts.get(state.customer, Debt())
        if is_other_currency(fact, debt):
            work.refused(seq, state, _currency(fact, state, debt))
        else:
            good.append(state)
    return good


def _currency(fact: Payment | Promise, state: CustomerState, debt: Debt) -> Refusal:
    if_full = ', or say "full": true if nothing is owed any more' if fact.fact == "payment" else ""
    return Refusal(
        "currency",
        f"Cannot record a {fact.fact} of customer {state.customer} for {fact.reference}: it is in "
        f"{fact.currency}, and the invoice is in {debt.currency}, so that they can't be reckoned "
        f"together. Give the amount in {debt.currency}{if_full}.",
    )


def slots_of(states: list[CustomerState]) -> list[int]:
    return [state.slot for state in states if state.slot is not None]


def about(reference: str | None) -> dict[str, Any]:
    return {} if reference is None else {"reference": reference}


def if_any(**counts: int) -> dict[str, Any]:
    return {name: count for name, count in counts.items() if count}
