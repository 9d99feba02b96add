"""A message to one person, and what the provider can say of it."""

from enum import StrEnum
from typing import NamedTuple


class Channel(StrEnum):
    """The ways to reach a customer. Also the names of the queues that deliver them."""

    EMAIL = "email"
    SMS = "sms"


class Message(NamedTuple):
    """Rendered and ready to hand over. Holds personal data: never log one."""

    key: str
    """One per step of an enrolment, the same for each attempt: Message-ID, idempotency key."""
    channel: Channel
    recipient: str
    """An email address, or a number in E.164."""
    sender: str
    """`Name <address>` for email; a number or an alphanumeric sender for SMS."""
    subject: str | None
    text: str
    html: str | None


class Answer(StrEnum):
    """What became of one hand-over."""

    ACCEPTED = "accepted"
    """The provider took it."""
    TEMPORARY = "temporary"
    """A definite no, for now: nothing was delivered, a later attempt may succeed."""
    PERMANENT = "permanent"
    """A definite no, for good."""
    NO_SUCH_RECIPIENT = "no_such_recipient"
    """The same, for nobody is there: nothing more is sent to that address or number."""
    UNKNOWN = "unknown"
    """No word by the deadline, or the word was lost: it may have been delivered."""
    RESTORED = "restored"
    """It may have been delivered, and the database has forgotten: it was restored from a backup."""
    NOT_HANDED_OVER = "not_handed_over"
    """We never began: the attempt does not count."""
    NOT_RENDERED = "not_rendered"
    """Its template could not be filled in: nothing to hand over, now or later."""


class Result(NamedTuple):
    """A provider's answer. `detail` is for operators: no addresses, no message text."""

    answer: Answer
    detail: str
    provider_id: str | None = None
