"""Erasing a person: purged from reserve, or redacted where something is kept as proof.

What is erased and what is left, docs/redaction.md says. Their own rows are changed at once; from
commands and outcomes they are erased once this transaction has written its own (`Erasing`).
"""

from domain.customer import CustomerState
from domain.journey import Place, purge_instead
from domain.refusal import Refusal
from storage import customers, erasure, silence, suppressions
from workers.work import Work

ALL = 2**63 - 1
"""Of a redacted customer, whatever comes: there is no later life of it."""


def purge(work: Work, seq: int, here: list[CustomerState]) -> None:
    """Out of reserve for good, unless something is recorded that is kept."""
    going = [state for state in here if not state.kept]
    for state in here:
        if state.kept:
            work.refused(seq, state, _kept(state))
    names = [state.customer for state in going]
    _carry_over(work, names)
    customers.purge(work.connection, work.account.account, names)
    for state in going:
        work.room.leave_directory()
        work.erased[state.customer] = seq
        work.applied(seq, state, "customer_purged")


def redact(work: Work, seq: int, here: list[CustomerState]) -> None:
    """Nothing personal is left; what was sent, when and by which rule stays. It hears nothing."""
    going = [state for state in here if state.kept or state.place is Place.ARCHIVED]
    for state in here:
        if state not in going:
            work.refused(seq, state, purge_instead(state.customer))
    names = [state.customer for state in going]
    _carry_over(work, names)
    erasure.redact(work.connection, work.account.account, names, work.account.now)
    # Its slot is gone since the move: nothing can be pending, and what has started is told.
    open_sends = silence.open_sends(work.connection, work.account.account, names)
    for state in going:
        work.erased[state.customer] = ALL
        event = "customer_already_redacted" if state.redacted else "customer_redacted"
        work.applied(seq, state, event, open=tuple(open_sends.get(state.customer, ())))


def _carry_over(work: Work, names: list[str]) -> None:
    """What forbids messages to a customer forbids them to its addresses, once it has none."""
    account = work.account.account
    reaches = suppressions.read_reach(work.connection, account, names)
    suppressions.carry_over(work.connection, account, reaches.values())
    suppressions.forget_sources(work.connection, account, reaches.values())


def _kept(state: CustomerState) -> Refusal:
    return Refusal(
        "kept",
        f"Cannot purge customer {state.customer}: a payment, or another fact, is recorded for it, "
        "which is kept as proof. Redact it: that erases the person and leaves the proof.",
    )


def hold(work: Work) -> list[int]:
    """Before the outcome is written: hold what is to be erased with what is to be finished.

    Returns the commands. Whatever the erasure still waits for, it waits for here, with no counters
    in its hands.
    """
    if not work.erased:
        return []
    seqs = {line.seq for line in work.lines}
    suppressions.hold(work.connection, work.account.account)
    return erasure.hold_commands(work.connection, work.account.account, work.erased, seqs)


def erase(work: Work, held: list[int]) -> None:
    """After it: the held commands, outcomes and journal of those who are gone, with this one's.

    A command that was accepted since waits for its customer, and is erased when it is applied.
    """
    if work.erased:
        account = work.account.account
        erasure.erase(work.connection, account, work.erased, held)
        # What was said of one who was redacted already.
        told = [suppressions.reach(work.connection, name, None, None) for name in work.erased]
        suppressions.forget_sources(work.connection, account, told)
