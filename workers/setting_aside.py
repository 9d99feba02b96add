"""When work fails: whether it is tried again, and what is said of it when it is set aside."""

from storage.database import DatabaseError, first_line, is_conflict, is_lost


def is_passing(error: Exception) -> bool:
    """The database was away or two were in each other's way: whoever rings next tries again."""
    return isinstance(error, DatabaseError) and (is_lost(error) or is_conflict(error))


def cannot_apply(whom: str, error: Exception, process: str = "lifecycle") -> str:
    """Why a command is set aside, without its content, and what to do."""
    what = first_line(error) if isinstance(error, DatabaseError) else type(error).__name__
    return (
        f"A command for {whom} can't be applied ({what}), and this is not its fault. "
        f"See the {process} process's log, mend what it says, then: layby command replay ID"
    )
