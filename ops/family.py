"""Processes of ours under one parent: their output, their restarts, their end."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO

from config.machine_time import Deadline, machine_seconds
from ops.installation import Installation
from ops.stop import STOP_WITHIN_SECONDS

Line = Callable[[str, str], None]
"""Takes a process's name and a line that it wrote."""

# Ends the process when our end of the pipe closes, however we ended (see ops/servers/child.py).
# The guard has none of the process's output: its end is read from there.
_GUARDED = """
exec 3<&0
( { read -r ended <&3 || kill -s TERM $$; } >/dev/null 2>&1 & )
exec "$@" 3<&- </dev/null
"""

_RESTART_SECONDS = 1.0
"""A process that ends at once, again and again, is started at most so often."""


def environment(installation: Installation) -> dict[str, str]:
    """What tells a child to use the very servers that its parent uses."""
    return {
        **os.environ,
        "LAYBY_DATABASE_URL": installation.servers.database_url,
        "LAYBY_REDIS_URL": installation.servers.redis_url,
        "LAYBY_SECRET_KEY": installation.key.decode(),
    }


class Family:
    """One child for each name, kept running until `stop`; a child that ends is replaced.

    `program` is the module that runs a process by its name.
    """

    def __init__(
        self,
        names: list[str],
        environ: Mapping[str, str],
        line: Line,
        *options: str,
        program: str = "ops",
    ) -> None:
        self._environ = dict(environ)
        self._program = program
        self._options = options
        self._line = line
        self._stopping = threading.Event()
        self._children: dict[str, subprocess.Popen[str]] = {}
        self._keepers = [
            threading.Thread(target=self._keep, args=(name,), name=f"keep-{name}", daemon=True)
            for name in names
        ]
        for keeper in self._keepers:
            keeper.start()

    @property
    def pids(self) -> dict[str, int]:
        """The process that runs now under each name."""
        return {name: child.pid for name, child in self._children.items()}

    def stop(self) -> None:
        """Ask all to finish what is open, and end those that don't in their time."""
        self._stopping.set()
        children = list(self._children.values())
        for child in children:
            child.terminate()
        patience = Deadline.after(STOP_WITHIN_SECONDS + 5)
        for child in children:
            try:
                child.wait(max(0.1, patience.remaining_seconds))
            except subprocess.TimeoutExpired:
                child.kill()
        for keeper in self._keepers:
            keeper.join(5)

    def _keep(self, name: str) -> None:
        while not self._stopping.is_set():
            began = machine_seconds()
            child = self._spawn(name)
            self._children[name] = child
            if self._stopping.is_set():
                child.terminate()
            assert child.stdout is not None
            self._read(name, child.stdout)
            status = _wait(child)
            if not self._stopping.is_set():
                self._line(name, f"ended with status {status}, is started again")
                time.sleep(max(0.0, began + _RESTART_SECONDS - machine_seconds()))

    def _spawn(self, name: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 - our own program
            ["/bin/sh", "-c", _GUARDED, "sh", *self._command(name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environ,
            start_new_session=True,  # Ctrl-C is ours to pass on
        )

    def _command(self, name: str) -> list[str]:
        return [sys.executable, "-m", self._program, name, *self._options]

    def _read(self, name: str, output: IO[str]) -> None:
        with output:
            for line in output:
                self._line(name, line.rstrip("\n"))


def _wait(child: subprocess.Popen[str]) -> int:
    """A child's exit status; its guard is told that it has nothing left to guard."""
    status = child.wait()
    assert child.stdin is not None
    with suppress(BrokenPipeError), child.stdin:
        child.stdin.write("ended\n")
    return status
