"""A send: one step of one enrolment. Its state is the table that its row is in."""

from datetime import timedelta
from enum import StrEnum

from domain.message import Answer


class SendState(StrEnum):
    """Where a send can be. PENDING and STARTED are tables; the others are rows of the ledger."""

    PENDING = "pending"
    """Planned: not before its `due_at`, and only while the enrolment lives and is not held."""
    STARTED = "started"
    """Taken by a worker, handed over or about to be. Nobody else can start it."""
    SENT = "sent"
    """The provider took it."""
    FAILED = "failed"
    """A definite no for good, or one attempt too many."""
    UNKNOWN = "unknown"
    """Handed over, or so it may be after a restore, and no word of it. Only this state is ever
    resolved later."""
    SKIPPED = "skipped"
    """Due, and a rule said no."""
    CANCELLED = "cancelled"
    """Taken out by a command before it could start, or not tried again after one."""


MOVES: dict[SendState, frozenset[SendState]] = {
    SendState.PENDING: frozenset(
        {SendState.STARTED, SendState.SKIPPED, SendState.CANCELLED, SendState.UNKNOWN}
    ),
    SendState.STARTED: frozenset(
        {
            SendState.PENDING,
            SendState.SENT,
            SendState.FAILED,
            SendState.UNKNOWN,
            SendState.CANCELLED,
        }
    ),
    SendState.UNKNOWN: frozenset({SendState.SENT, SendState.FAILED}),
    SendState.SENT: frozenset(),
    SendState.FAILED: frozenset(),
    SendState.SKIPPED: frozenset(),
    SendState.CANCELLED: frozenset(),
}
"""From which state a send can go where. ARCHITECTURE.md draws this table."""

FINAL_STATES = tuple(
    state for state in SendState if state not in (SendState.PENDING, SendState.STARTED)
)
"""The states of the ledger."""

RETRY_AFTER = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=25),
    timedelta(hours=2),
    timedelta(hours=6),
)
"""The one retry rule: after the first, second, … temporary no. Then it has failed."""

AFTER_ANSWER: dict[Answer, SendState] = {
    Answer.ACCEPTED: SendState.SENT,
    Answer.PERMANENT: SendState.FAILED,
    Answer.NO_SUCH_RECIPIENT: SendState.FAILED,
    Answer.NOT_RENDERED: SendState.FAILED,
    Answer.UNKNOWN: SendState.UNKNOWN,
    Answer.RESTORED: SendState.UNKNOWN,
}


def retry_after(attempts: int) -> timedelta | None:
    """How long to wait after this many temporary refusals; None: no more attempts."""
    return RETRY_AFTER[attempts - 1] if attempts <= len(RETRY_AFTER) else None
