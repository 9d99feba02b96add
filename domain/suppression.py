"""Who may not be written to: blocked, opted out, suppressed; each by channel and scope."""

from enum import StrEnum
from typing import NamedTuple

from domain.contact import normal_email
from domain.message import Channel


class SuppressionKind(StrEnum):
    """Whose word it is, and so what lifts it."""

    BLOCKED = "blocked"
    """A person's of the account: spam, abuse. Lifted by `unblock`."""
    OPTED_OUT = "opted_out"
    """The customer's own: STOP, one-click unsubscribe (RFC 8058). Lifted by `opt_in`."""
    SUPPRESSED = "suppressed"
    """The provider's: a complaint, a mailbox that is not there. Lifted by `unsuppress`."""


class Aim(StrEnum):
    """What a suppression is of."""

    CUSTOMER = "customer"
    ADDRESS = "address"
    NUMBER = "number"
    DOMAIN = "domain"

    @property
    def article(self) -> str:
        return f"an {self.value}" if self is Aim.ADDRESS else f"a {self.value}"

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Those that can reach it."""
        match self:
            case Aim.CUSTOMER:
                return tuple(Channel)
            case Aim.NUMBER:
                return (Channel.SMS,)
            case _:
                return (Channel.EMAIL,)


class Recipient(NamedTuple):
    """An address, a number or a domain, in the one form that it is recognised by."""

    aim: Aim
    value: str


def of_address(address: str) -> Recipient:
    """Mailboxes are told apart without regard to case, though RFC 5321 would let them differ."""
    return Recipient(Aim.ADDRESS, _lower(address))


def of_number(number: str) -> Recipient:
    """In E.164 already."""
    return Recipient(Aim.NUMBER, number)


def of_domain(domain: str) -> Recipient:
    return Recipient(Aim.DOMAIN, _lower(domain))


def recipients_of(email: str | None, phone: str | None) -> tuple[Recipient, ...]:
    """All that a customer with these could be suppressed by."""
    by_email = (of_address(email), of_domain(email.rpartition("@")[2])) if email else ()
    return (*by_email, of_number(phone)) if phone else by_email


def _lower(text: str) -> str:
    # A to Z alone, as the database's indexes do it: other scripts' rules differ between versions.
    return text.translate(_A_TO_Z)


_A_TO_Z = {ord(letter): ord(letter) + 32 for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def normal_domain(domain: str) -> str:
    """The part of an address after the @, as addresses have it; raises ValueError."""
    try:
        return normal_email(f"who@{domain.removeprefix('@')}").rpartition("@")[2]
    except ValueError:
        raise ValueError("is not a domain, such as spam.example") from None


class Suppression(NamedTuple):
    """One record of who may not be written to; which customer or recipient, its finder knows."""

    kind: SuppressionKind
    aim: Aim
    channel: Channel
    schedule: str
    """Empty: all messages of the account."""

    def holds_for(self, schedule: str) -> bool:
        return self.schedule in ("", schedule)

    def forbids(self, channel: Channel, schedule: str) -> bool:
        return self.channel is channel and self.holds_for(schedule)

    @property
    def reason(self) -> str:
        """In words, without the address, number or domain."""
        who = "the customer" if self.aim is Aim.CUSTOMER else f"its {self.aim.value}"
        scope = f" of schedule {self.schedule}" if self.schedule else ""
        return f"{who} {_WORDS[self.kind]} {self.channel.value}{scope}"


_WORDS = {
    SuppressionKind.BLOCKED: "is blocked for",
    SuppressionKind.OPTED_OUT: "has opted out of",
    SuppressionKind.SUPPRESSED: "is suppressed by the provider for",
}
