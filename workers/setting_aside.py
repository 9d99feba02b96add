"""When work fails: whether it is tried again, and what is said of it when it is set aside."""

from collections.abc import Hashable

from config.machine_time import machine_seconds
from storage.database import (
    DatabaseError,
    PoolExhaustedError,
    first_line,
    is_conflict,
    is_lost,
    is_out_of_time,
    is_statement_timeout,
)

ATTEMPTS = 5
ATTEMPTED_SECONDS = 300.0
"""For so long work that the server ends is tried again: a good command outlives an outage."""

_FORGOTTEN_SECONDS = 60.0
"""Work that waits is tried at every tick; what was not for so long, another process has done."""


class Overlong:
    """Work that took longer than the server allows, each time that this process tried it."""

    def __init__(self) -> None:
        self._tried: dict[Hashable, tuple[int, float, float]] = {}

    def attempts(self, work: Hashable) -> int:
        """How often it was tried in vain."""
        times, _, last = self._tried.get(work, (0, 0.0, 0.0))
        return times if machine_seconds() - last < _FORGOTTEN_SECONDS else 0

    def failed(self, work: Hashable, error: Exception) -> bool:
        """Note another attempt; True: it will never end within the limit, and is to be set aside.

        A lock that was not had is nobody's fault but his who holds it.
        """
        if not is_overtime(error):
            return False
        now, times = machine_seconds(), self.attempts(work)
        first = self._tried[work][1] if times else now
        self._tried[work] = (times + 1, first, now)
        return times + 1 >= ATTEMPTS and now - first >= ATTEMPTED_SECONDS

    def done(self, work: Hashable) -> None:
        """It has ended, or is set aside."""
        self._tried.pop(work, None)


OVERLONG = Overlong()
"""Of this process: whoever starts anew counts anew."""


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


def is_overtime(error: Exception) -> bool:
    """Less of it may end within the server's limit."""
    return isinstance(error, DatabaseError) and is_statement_timeout(error)


def cannot_apply(whom: str, error: Exception, process: str = "lifecycle") -> str:
    """Why a command is set aside, without its content, and what to do."""
    what = first_line(error) if isinstance(error, DatabaseError) else type(error).__name__
    return (
        f"A command for {whom} can't be applied ({what}), and this is not its fault. "
        f"See the {process} process's log, mend what it says, then: layby command replay ID"
    )
