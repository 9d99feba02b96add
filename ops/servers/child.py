"""A server as our child: it ends when we do, even when we are killed."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from ops.servers.errors import ServersError
from ops.servers.privilege import ServerUser

# The server's guard waits at a pipe whose other end only we hold. The pipe closes when we end,
# however that happens, and the guard then sends the signal; a line in it says: not needed any
# more. Against PR_SET_PDEATHSIG: the same on Linux and macOS, bound to our process, not to the
# thread that started the server, and nothing runs between fork and exec. The guard is in place
# before the server is, and twice forked, so that the server has no child that it doesn't know.
_GUARDED = """
signal=$1; shift
exec 3<&0
( { read -r ended <&3 || kill -s "$signal" $$; } & )
exec "$@" 3<&- </dev/null
"""

_PATIENCE_SECONDS = 10
_TOLD_LINES = 12


class Child:
    """A running program that writes to a log, and what ends it: signals from polite to final."""

    def __init__(
        self, user: ServerUser, command: list[str], log: Path, lock_fd: int, *ends: str
    ) -> None:
        self.log = log
        self._ends = ends
        guarded = ["/bin/sh", "-c", _GUARDED, "sh", ends[0], *command]
        with log.open("ab") as sink:
            self._log_start = sink.tell()
            self._process = user.spawn(guarded, keep_fd=lock_fd, stdout=sink.fileno())
        # A copy of our end of the pipe in a forked worker would keep the servers past our death.
        os.register_at_fork(after_in_child=self._close_pipe)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait_for_success(self, seconds: float) -> bool:
        """Whether it ends well and in time; ended it is, either way."""
        try:
            return self._process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            self.stop()

    def stop(self) -> None:
        """End it, asking more and more firmly. A forked copy of us finds no child to end."""
        for name in (*self._ends, "KILL"):
            self._process.send_signal(signal.Signals[f"SIG{name}"])
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE_SECONDS)
                break
        self._dismiss_guard()

    def failure(self, what: str) -> ServersError:
        """Why it failed, in its own last words, and what to do."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            told = log.read().decode(errors="replace").splitlines()[-_TOLD_LINES:]
        words = "\n".join(f"  {line}" for line in told) or "  (it said nothing)"
        advice = "Put right what it names"
        if "No space left" in words or "free disk space" in words:
            advice = "Free some space on that disk"
        return ServersError(
            f"{what}:\n{words}\n{advice} and start again, or set LAYBY_HOME to another folder. "
            f"The whole log: {self.log}"
        )

    def _dismiss_guard(self) -> None:
        pipe = self._process.stdin
        if pipe is not None and not pipe.closed:
            with suppress(BrokenPipeError):  # the guard is gone already
                pipe.write(b"ended\n")
            self._close_pipe()

    def _close_pipe(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
