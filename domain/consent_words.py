"""What is refused of consent's commands, in words. No addresses, numbers or domains."""

from collections.abc import Iterable

from domain.commands import ConsentCommand, LiftingWord
from domain.journey import Kind
from domain.refusal import Refusal
from domain.suppression import Suppression

SUPERSEDED = "superseded"

_DOING = {
    Kind.BLOCK: "block {}",
    Kind.UNBLOCK: "unblock {}",
    Kind.OPT_OUT: "opt {} out",
    Kind.OPT_IN: "opt {} in",
    Kind.SUPPRESS: "suppress {}",
    Kind.UNSUPPRESS: "unsuppress {}",
}

_LIFTED = {
    Kind.UNBLOCK: (Kind.BLOCK, "blocked for"),
    Kind.OPT_IN: (Kind.OPT_OUT, "opted out of"),
    Kind.UNSUPPRESS: (Kind.SUPPRESS, "suppressed for"),
}
"""Which word each lifts, and what who is silenced by it is."""


def _doing(command: ConsentCommand, whom: str) -> str:
    return _DOING[command.kind].format(whom)


def unknown_schedule(schedule: str) -> Refusal:
    """A silence of what is not there would be taken for one of what is meant."""
    return Refusal(
        "unknown_schedule",
        f"There is no schedule {schedule}. Correct its name, or leave it out: then it is for all "
        "messages.",
    )


def has_it_no_more(command: ConsentCommand, customer: str) -> Refusal:
    """Of a customer who changed its address between the look-up and its turn."""
    return Refusal(
        "no_longer_matches",
        f"Cannot {_doing(command, f'customer {customer}')}: it had the {command.aim.value}, and "
        "has another one now. If it is wanted all the same, send a command that names it.",
    )


def superseded(command: LiftingWord, customer: str | None) -> Refusal:
    """A later word of the other kind has come first."""
    whom = f"the {command.aim.value}" if customer is None else f"customer {customer}"
    later, _ = _LIFTED[command.kind]
    return Refusal(
        SUPERSEDED,
        f"Cannot {_doing(command, whom)}: {later.value} was said later, and came first. If it is "
        "wanted after all, send a new command.",
    )


def nothing_to_lift(command: LiftingWord, customer: str, others: Iterable[Suppression]) -> Refusal:
    """Nothing of that kind, channel and schedule stands against a customer."""
    channels = " or ".join(channel.value for channel in command.channels)
    scope = f" of schedule {command.schedule} alone" if command.schedule else ""
    _, what = _LIFTED[command.kind]
    reasons = "; ".join(sorted({one.reason for one in others}))
    return Refusal(
        "nothing_to_lift",
        f"Cannot {_doing(command, f'customer {customer}')}: it is not {what} {channels}{scope}. "
        + (
            f"What stands is another thing: {reasons}. Lift that."
            if reasons
            else "There is nothing to do."
        ),
    )


def closed(schedule: str, customer: str, found: Iterable[Suppression]) -> Refusal:
    """A customer whom no step of a schedule may reach."""
    reasons = "; ".join(sorted({one.reason for one in found if one.schedule in ("", schedule)}))
    return Refusal(
        "no_consent",
        f"Cannot put customer {customer} on schedule {schedule}: none of its messages may be sent, "
        f"for {reasons}. Lift that first: unblock it, opt it in with its consent, or unsuppress "
        "it.",
    )
