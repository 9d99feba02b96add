"""Waiting for the engine: until all that was published is applied and all that is due settled."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from config.machine_time import Deadline
from ops.demo.ground import Ground
from ops.demo.stream import ACCOUNT, Stream
from ops.family import Family, environment
from ops.processes import PROCESSES
from ops.screen import UserError
from storage.database import Engine
from storage.demo_reads import Standing, silences, standing

_POLL_SECONDS = 0.015
_STUCK_SECONDS = 30
_TOLD_LINES = 12


class Logs:
    """Takes what the processes write into a file each, and notices one that ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last: dict[str, deque[str]] = {}
        self._ended: tuple[str, str] | None = None

    def __call__(self, process: str, line: str) -> None:
        with (self._folder / f"{process}.log").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        if line.startswith("ended with status"):
            self._ended = self._ended or (process, line.partition(",")[0])
        else:
            self._last.setdefault(process, deque(maxlen=_TOLD_LINES)).append(line)

    def check(self) -> None:
        """Raise UserError if a process ended that nobody had asked to."""
        if self._ended is not None:
            process, ended = self._ended
            what = f"The {process} process {ended} in the middle of the demo"
            raise UserError(self.told(what, [process]))

    def told(self, what: str, processes: Iterable[str] = PROCESSES) -> str:
        """What is the matter, with the last lines of those who may know."""
        lines = [f"  {name}: {line}" for name in processes for line in self._last.get(name, ())]
        words = "\n".join(lines) or "  (nothing)"
        return f"{what}. Last words:\n{words}\nThe whole logs: {self._folder}"


@contextmanager
def processes(ground: Ground) -> Iterator[Logs]:
    """One of each process, on the demo's ground; ended with this one, however it ends."""
    logs = Logs(ground.logs)
    needed = [name for name in PROCESSES if name != "web"]  # all comes by the stream
    family = Family(needed, environment(ground.installation) | ground.environment(), logs)
    try:
        yield logs
    finally:
        family.stop()


class Watch:
    """Polls the database, and the processes while it does."""

    def __init__(self, engine: Engine, stream: Stream, logs: Logs) -> None:
        self._engine = engine
        self._stream = stream
        self._logs = logs

    def until_rest(self) -> None:
        """Wait until nothing published waits, nothing due is pending, nothing is in progress."""
        before: Standing | None = None
        patience = Deadline.after(_STUCK_SECONDS)
        while True:
            with self._engine.connect() as connection:
                now = standing(connection, ACCOUNT)
            if now.at_rest(self._stream.published):
                return
            if now != before:
                before, patience = now, Deadline.after(_STUCK_SECONDS)
            self._pause(patience, f"Nothing moves any more ({now})")

    def until_quiet(self) -> None:
        """Wait until every silence is seen to be quiet."""
        patience = Deadline.after(_STUCK_SECONDS)
        while True:
            with self._engine.connect() as connection:
                loud = sum(one.quiet_at is None for one in silences(connection, ACCOUNT))
            if not loud:
                return
            self._pause(patience, f"{loud} silences are not seen to be quiet")

    def _pause(self, patience: Deadline, what: str) -> None:
        self._logs.check()
        if patience.passed:
            raise UserError(self._logs.told(f"{what} for {_STUCK_SECONDS} seconds"))
        time.sleep(_POLL_SECONDS)
