"""A process that can't outlive the tests, however they end."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# The guard waits at a pipe whose other end only the tests hold. It closes when they end, be it by
# `kill -9`, and the guard then kills the process. A line in it says: not needed any more.
_GUARDED = """
exec 3<&0
( { read -r ended <&3 || kill -s KILL $$; } >/dev/null 2>&1 & )
exec "$@" 3<&- </dev/null
"""

_PATIENCE_SECONDS = 10


class Guarded:
    """A running program; its output is added to a file."""

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], output: Path, folder: Path
    ) -> None:
        with output.open("ab") as sink:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", _GUARDED, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=environ,
                cwd=folder,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float | None = None) -> int:
        """Its exit status, once it has ended; the guard is sent home then."""
        status = self.process.wait(seconds)
        assert self.process.stdin is not None
        with suppress(BrokenPipeError, ValueError), self.process.stdin:
            self.process.stdin.write(b"ended\n")
        return status

    def kill(self) -> int:
        self.process.kill()
        return self.wait(_PATIENCE_SECONDS)
