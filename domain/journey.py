"""Where a customer can be, and which command is allowed there: two tables and their refusals."""

from collections.abc import Iterable
from enum import StrEnum

from domain.refusal import Refusal


class Place(StrEnum):
    """A customer is in exactly one place. Reserve and archived are the directory."""

    RESERVE = "reserve"
    """Added or imported, never active: no automated message, can be purged."""
    ACTIVE = "active"
    """Holds a slot of the plan, may be on schedules."""
    ARCHIVED = "archived"
    """Has been active: no automated message, kept as proof."""


class Status(StrEnum):
    """The collection status of an active customer; it belongs to the slot."""

    ON_TRACK = "on_track"
    LATE = "late"
    PROMISED = "promised"
    DISPUTED = "disputed"


class Kind(StrEnum):
    """Every command."""

    PUT_ACCOUNT = "put_account"
    PUT_SCHEDULE = "put_schedule"
    PUT_TEMPLATE = "put_template"
    ADD_CUSTOMER = "add_customer"
    IMPORT_CUSTOMERS = "import_customers"
    UPDATE_CUSTOMER = "update_customer"
    ACTIVATE = "activate"
    REACTIVATE = "reactivate"
    MOVE_TO_DIRECTORY = "move_to_directory"
    PURGE = "purge"
    PAUSE = "pause"
    RESUME = "resume"
    ASSIGN_SCHEDULE = "assign_schedule"
    REMOVE_FROM_SCHEDULE = "remove_from_schedule"
    MOVE_TO_VERSION = "move_to_version"
    RECORD = "record"
    BLOCK = "block"
    UNBLOCK = "unblock"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    SUPPRESS = "suppress"
    UNSUPPRESS = "unsuppress"
    REDACT = "redact"


JOURNEY: dict[tuple[Place | None, Kind], Place | None] = {
    (None, Kind.ADD_CUSTOMER): Place.RESERVE,  # or active, where a single add asks for it
    (None, Kind.IMPORT_CUSTOMERS): Place.RESERVE,
    (Place.RESERVE, Kind.ACTIVATE): Place.ACTIVE,
    (Place.RESERVE, Kind.PURGE): None,
    (Place.ACTIVE, Kind.MOVE_TO_DIRECTORY): Place.ARCHIVED,
    (Place.ARCHIVED, Kind.REACTIVATE): Place.ACTIVE,
    (Place.ARCHIVED, Kind.MOVE_TO_DIRECTORY): Place.ARCHIVED,  # already silent: answers quiet
}
"""(place, command) to place; None is: no such customer. Whatever is not here is refused."""

ALLOWED_IN: dict[Kind, frozenset[Place]] = {
    Kind.UPDATE_CUSTOMER: frozenset(Place),
    Kind.RECORD: frozenset(Place),
    Kind.PAUSE: frozenset({Place.ACTIVE}),
    Kind.RESUME: frozenset({Place.ACTIVE}),
    Kind.ASSIGN_SCHEDULE: frozenset({Place.ACTIVE}),
    Kind.REMOVE_FROM_SCHEDULE: frozenset({Place.ACTIVE}),
    Kind.BLOCK: frozenset(Place),
    Kind.UNBLOCK: frozenset(Place),
    Kind.OPT_OUT: frozenset(Place),
    Kind.OPT_IN: frozenset(Place),
    Kind.SUPPRESS: frozenset(Place),
    Kind.UNSUPPRESS: frozenset(Place),
    Kind.MOVE_TO_VERSION: frozenset({Place.ACTIVE}),
    # In reserve, of whom something is kept; who is not kept is purged.
    Kind.REDACT: frozenset({Place.RESERVE, Place.ARCHIVED}),
}
"""Commands that change no place, and the places that they are allowed in."""

SILENCING_WORDS = frozenset({Kind.BLOCK, Kind.OPT_OUT, Kind.SUPPRESS})
LIFTING_WORDS = frozenset({Kind.UNBLOCK, Kind.OPT_IN, Kind.UNSUPPRESS})

OF_CONSENT = SILENCING_WORDS | LIFTING_WORDS
"""Who may be written to at all: independent of the place, and of who is paused there."""

SILENCING = SILENCING_WORDS | {Kind.MOVE_TO_DIRECTORY, Kind.PAUSE, Kind.REDACT}
"""A command of these, issued later, supersedes one of ENDS_SILENCE that arrives after it: of place
and pause those of place and pause, a block an unblock, an opt_out an opt_in, and so on."""

ENDS_SILENCE = LIFTING_WORDS | {Kind.ACTIVATE, Kind.REACTIVATE, Kind.RESUME}


TAKEN_ONCE_REDACTED = SILENCING_WORDS | {Kind.REDACT, Kind.MOVE_TO_DIRECTORY}
"""What a redacted customer is still given: silence. All else would begin anew what was ended, or
bring back what was erased."""


def allowed(kind: Kind, place: Place | None, *, redacted: bool = False) -> bool:
    """Whether a customer in this place (None: no such customer) can be given this command."""
    if redacted and kind not in TAKEN_ONCE_REDACTED:
        return False
    if kind in ALLOWED_IN:
        return place in ALLOWED_IN[kind]
    return (place, kind) in JOURNEY


def changed_in(kind: Kind) -> frozenset[Place]:
    """The places where a command changes something: a filter takes its customers from these."""
    if kind in ALLOWED_IN:
        return ALLOWED_IN[kind]
    moves = ((place, to) for (place, of), to in JOURNEY.items() if of is kind)
    return frozenset(place for place, to in moves if place is not None and place is not to)


def wrong_place(kind: Kind, customer: str, place: Place | None) -> Refusal:
    """The refusal of a command that is not allowed in this place."""
    doing, needs = _doing(kind, customer), _PHRASES[kind][1]
    if place is None:
        return Refusal(
            "unknown_customer",
            f"Cannot {doing}: there is no such customer. {_ways_out_of_nowhere(kind)}",
        )
    if kind in (Kind.ADD_CUSTOMER, Kind.IMPORT_CUSTOMERS):
        return Refusal(
            "already_exists",
            f"Cannot {doing}: {_WHERE[place]} already, and {needs}. "
            "Change it with update_customer, or give the new one an id of its own.",
        )
    ways_out = _ways_out(kind, place)
    return Refusal("wrong_place", f"Cannot {doing}: {_WHERE[place]}, and {needs}. {ways_out}")


def is_redacted(kind: Kind, customer: str) -> Refusal:
    """The refusal of what a redacted customer is not given any more."""
    if kind in LIFTING_WORDS:
        do = "Give the address or number: those need no customer."
    elif kind is Kind.PURGE:
        do = "There is nothing to do: what is left is proof, without personal data."
    else:
        do = "If the person is a customer again, add it under an id of its own."
    return Refusal(
        "redacted",
        f"Cannot {_doing(kind, customer)}: it was redacted, and only hears nothing more. {do}",
    )


def purge_instead(customer: str) -> Refusal:
    """The refusal of a redaction that would leave nothing."""
    return Refusal(
        "wrong_place",
        f"Cannot {_doing(Kind.REDACT, customer)}: {_WHERE[Place.RESERVE]}, and nothing is recorded "
        "of it that has to be kept. Purge it.",
    )


def no_longer_matches(kind: Kind, customer: str, conditions: Iterable[str]) -> Refusal:
    """The refusal of a customer whom a filter took, and who does not fit it any more."""
    return Refusal(
        "no_longer_matches",
        f"Cannot {_doing(kind, customer)}: it fitted the filter, and does not any more "
        f"({', '.join(conditions)}): something has happened since. If it is wanted all the same, "
        "send a command that names it.",
    )


def not_all(kind: Kind, customer: str, others: int) -> Refusal:
    """The refusal of a customer of an all-or-none command for what is wrong with others."""
    others_are = "another customer is" if others == 1 else f"{others:,} others are"
    return Refusal(
        "not_all",
        f"Cannot {_doing(kind, customer)}: the command asks for all or none, and {others_are} "
        "refused. See their reasons; leave them out, or all_or_none.",
    )


def _doing(kind: Kind, customer: str) -> str:
    return _PHRASES[kind][0].format(customer=f"customer {customer}")


_WHERE = {
    Place.RESERVE: "it is in reserve",
    Place.ACTIVE: "it is active",
    Place.ARCHIVED: "it is in the archive",
}

_PHRASES: dict[Kind, tuple[str, str]] = {
    Kind.ADD_CUSTOMER: ("add {customer}", "an id is given once"),
    Kind.IMPORT_CUSTOMERS: ("import {customer}", "an id is given once"),
    Kind.UPDATE_CUSTOMER: ("update {customer}", "only known customers are updated"),
    Kind.ACTIVATE: ("activate {customer}", "only customers in reserve are activated"),
    Kind.REACTIVATE: ("reactivate {customer}", "only archived customers are reactivated"),
    Kind.MOVE_TO_DIRECTORY: (
        "move {customer} to the directory",
        "only active customers are archived",
    ),
    Kind.PURGE: ("purge {customer}", "only customers who were never active are purged"),
    Kind.PAUSE: ("pause {customer}", "only active customers get reminders to pause"),
    Kind.RESUME: ("resume {customer}", "only active customers are paused and resumed"),
    Kind.ASSIGN_SCHEDULE: (
        "put {customer} on a schedule",
        "only active customers are on schedules",
    ),
    Kind.REMOVE_FROM_SCHEDULE: (
        "take {customer} off a schedule",
        "only active customers are on schedules",
    ),
    Kind.MOVE_TO_VERSION: (
        "move {customer} to a newer version of a schedule",
        "only active customers are on schedules",
    ),
    Kind.RECORD: ("record a fact of {customer}", "facts belong to known customers"),
    Kind.BLOCK: ("block {customer}", "only known customers are blocked by their id"),
    Kind.UNBLOCK: ("unblock {customer}", "only known customers are unblocked by their id"),
    Kind.OPT_OUT: ("opt {customer} out", "only known customers are opted out by their id"),
    Kind.OPT_IN: ("opt {customer} in", "only known customers are opted in by their id"),
    Kind.SUPPRESS: ("suppress {customer}", "only known customers are suppressed by their id"),
    Kind.UNSUPPRESS: ("unsuppress {customer}", "only known customers are unsuppressed by their id"),
    Kind.REDACT: ("redact {customer}", "only customers in the directory are redacted"),
}


def _ways_out_of_nowhere(kind: Kind) -> str:
    if kind in OF_CONSENT:
        return "Check the id, or give the address or number: those need no customer."
    if kind in SILENCING or kind in (Kind.PURGE, Kind.REMOVE_FROM_SCHEDULE):
        return "Check the id; who is not known hears nothing."
    return "Check the id, or add it with add_customer."


def _ways_out(kind: Kind, place: Place) -> str:
    match kind, place:
        case Kind.MOVE_TO_DIRECTORY, Place.RESERVE:
            return "Activate it first, or purge it."
        case Kind.ACTIVATE, Place.ARCHIVED:
            return "Reactivate it instead."
        case Kind.REACTIVATE, Place.RESERVE:
            return "Activate it instead."
        case ((Kind.ACTIVATE | Kind.REACTIVATE), Place.ACTIVE):
            return "There is nothing to do."
        case Kind.PURGE, Place.ACTIVE:
            return "Move it to the directory, where it is kept as proof."
        case Kind.PURGE, Place.ARCHIVED:
            return "It is kept as proof and hears nothing more. Redact it to erase the person."
        case Kind.REDACT, Place.ACTIVE:
            return "Move it to the directory first: from then on it hears nothing."
        case ((Kind.PAUSE | Kind.REMOVE_FROM_SCHEDULE), _):
            return "It hears nothing as it is."
        case Kind.RESUME, Place.RESERVE:
            return "Activate it instead."
        case Kind.RESUME, Place.ARCHIVED:
            return "Reactivate it instead."
        case _, Place.RESERVE:
            return "Activate it first."
        case _:
            return "Reactivate it first."
