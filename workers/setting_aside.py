"""When work fails: whether it is tried again, and what is said of it when it is set aside."""

from storage.database import (
    DatabaseError,
    PoolExhaustedError,
    first_line,
    is_conflict,
    is_lost,
    is_out_of_time,
)


def is_passing(error: Exception) -> bool:
    """No fault of what is applied: whoever rings next tries again.

    The database was away or full, or two were in each other's way. To refuse a silence for that,
    until somebody replays it, would let its messages go out.
    """
    if isinstance(error, PoolExhaustedError):
        return True
    return isinstance(error, DatabaseError) and (
        is_lost(error) or is_conflict(error) or is_out_of_time(error)
    )


def cannot_apply(whom: str, error: Exception, process: str = "lifecycle") -> str:
    """Why a command is set aside, without its content, and what to do."""
    what = first_line(error) if isinstance(error, DatabaseError) else type(error).__name__
    return (
        f"A command for {whom} can't be applied ({what}), and this is not its fault. "
        f"See the {process} process's log, mend what it says, then: layby command replay ID"
    )
