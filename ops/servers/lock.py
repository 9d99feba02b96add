"""Each server of a home has one owner. The others attach to what the owner runs."""

import fcntl
import os
from pathlib import Path

# The shell that starts a server uses the descriptors below for itself.
_LOWEST_FD = 10


class Lock:
    """Held by its taker and, through the descriptor that it inherits, by the server it starts.

    So the lock is free only once the server is gone too: a taker never meets one that is still
    shutting down, and whatever pid or socket file it meets is stale.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        # A worker that we fork must not hold it past our death.
        os.register_at_fork(after_in_child=self.release)

    def note(self, said: str) -> None:
        """Leave word of who owns the server and what it is."""
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, f"{said}, started by process {os.getpid()}".encode(), 0)

    def release(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def take(path: Path) -> Lock | None:
    """Take the lock, or None while another process or its server holds it."""
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(opened, 0)
        return Lock(fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, _LOWEST_FD))
    except BlockingIOError:
        return None
    finally:
        os.close(opened)


def note_of(path: Path) -> str:
    """The word that the owner left."""
    return path.read_text(encoding="utf-8") or "no word yet of what it is"
