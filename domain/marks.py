"""What stands on a customer's slot: why schedules wait, and what status that makes."""

from collections.abc import Collection
from enum import StrEnum

from domain.journey import Status


class Mark(StrEnum):
    """Each is of one reference, or of all that the customer is on.

    Those that a schedule's `holds` names hold it; so does a pause, which is the slot's own.
    """

    DISPUTED = "disputed"
    """Until it is closed, or paid in full."""
    PROMISED = "promised"
    """Until it is kept, or its day is over."""
    REPLIED = "replied"
    """Until a person resumes."""
    LATE = "late"
    """By a step that says so, or by a broken promise; until paid in full. It holds nothing."""


STATUS_OF: dict[Mark, Status] = {
    Mark.DISPUTED: Status.DISPUTED,
    Mark.PROMISED: Status.PROMISED,
    Mark.LATE: Status.LATE,
}
"""In this order of precedence: a dispute of one debt is not hidden by a promise for another."""


def status_of(marks: Collection[Mark]) -> Status:
    """The collection status of an active customer, from all marks of the slot."""
    return next((status for mark, status in STATUS_OF.items() if mark in marks), Status.ON_TRACK)
