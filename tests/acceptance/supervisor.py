"""Runs the Procfile's own commands, as honcho or systemd would, and breaks them when asked."""

import os
import shlex
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from config.machine_time import Deadline

PROCFILE = Path(__file__).parents[2] / "Procfile"
STOP_WITHIN_SECONDS = 45


def read_procfile(text: str) -> dict[str, list[str]]:
    """Each kind of process, and the command that runs it."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    named = (line.split(":", 1) for line in lines)
    return {kind.strip(): shlex.split(command) for kind, command in named}


class Process(Protocol):
    """A running program."""

    @property
    def pid(self) -> int: ...
    def send_signal(self, number: signal.Signals, /) -> None: ...
    def wait(self, seconds: float | None = None, /) -> int: ...
    def kill(self) -> int: ...


class Start(Protocol):
    """Runs a command in a folder, its output added to a file."""

    def __call__(
        self, command: Sequence[str], environ: Mapping[str, str], output: Path, folder: Path, /
    ) -> Process: ...


class Supervisor:
    """One process of each kind asked for; one that ends is started again, at once."""

    def __init__(self, environ: Mapping[str, str], folder: Path, start: Start) -> None:
        self._commands = read_procfile(PROCFILE.read_text(encoding="utf-8"))
        self._environ = environ
        self._start = start
        self._folder = folder
        self._running: dict[str, Process] = {}
        self._keepers: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._away: set[str] = set()
        self._stopping = False
        self.endings: list[tuple[str, int]] = []
        """(kind, exit status) of every process that has ended."""

    @property
    def kinds(self) -> list[str]:
        return list(self._commands)

    def start(self, *kinds: str) -> Self:
        """Start these kinds, or all; returns at once. `scheduler.2`: a second one of its kind."""
        wanted = kinds or tuple(self._commands)
        for kind in wanted:
            keeper = threading.Thread(target=self._keep, args=(kind,), name=f"keep-{kind}")
            self._keepers.append(keeper)
            keeper.start()
        return self

    def pid(self, kind: str) -> int:
        """The number of the process of a kind, once there is one."""
        return self._process(kind).pid

    def send(self, kind: str, number: signal.Signals) -> None:
        self._process(kind).send_signal(number)

    @contextmanager
    def kept_away(self, kind: str) -> Iterator[None]:
        """Inside the block, a process of this kind that ends is not replaced."""
        with self._changed:
            self._away.add(kind)
        try:
            yield
        finally:
            with self._changed:
                self._away.discard(kind)
                self._changed.notify_all()

    @contextmanager
    def killed(self, kind: str, number: signal.Signals = signal.SIGKILL) -> Iterator[int]:
        """End a process by a signal; inside the block it is gone, after it, started again."""
        with self.kept_away(kind):
            process = self._process(kind)
            process.send_signal(number)
            with self._changed:
                gone = self._changed.wait_for(
                    lambda: kind not in self._running, STOP_WITHIN_SECONDS
                )
            assert gone, f"{kind} did not end on {number.name}"
            yield process.pid

    def log(self, kind: str) -> str:
        """All that the processes of a kind have written so far."""
        path = self._log(kind)
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def runs(self, kind: str) -> bool:
        """Whether a process of a kind has ever said that it does."""
        return '"started"' in self.log(kind)

    def stop(self) -> None:
        """Ask all to finish what is open; kill those that don't in time."""
        with self._changed:
            self._stopping = True
            running = list(self._running.values())
            self._changed.notify_all()
        for one in running:
            one.send_signal(signal.SIGTERM)
            one.send_signal(signal.SIGCONT)  # a frozen one has to wake up for it
        patience = Deadline.after(STOP_WITHIN_SECONDS)
        for keeper in self._keepers:
            keeper.join(max(0.1, patience.remaining_seconds))
        for one in running:
            one.kill()
        for keeper in self._keepers:
            keeper.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    def _process(self, kind: str) -> Process:
        with self._changed:
            there = self._changed.wait_for(lambda: kind in self._running, STOP_WITHIN_SECONDS)
            assert there, f"no {kind} is running:\n{self.log(kind)}"
            return self._running[kind]

    def _keep(self, kind: str) -> None:
        while process := self._spawn(kind):
            status = process.wait()
            with self._changed:
                del self._running[kind]
                self.endings.append((kind, status))
                self._changed.notify_all()
                self._changed.wait_for(lambda: kind not in self._away or self._stopping)

    def _spawn(self, kind: str) -> Process | None:
        with self._changed:
            if self._stopping:
                return None
            command, log = self._commands[kind.partition(".")[0]], self._log(kind)
            process = self._running[kind] = self._start(command, self._environ, log, self._folder)
            self._changed.notify_all()
            return process

    def _log(self, kind: str) -> Path:
        return self._folder / f"{kind}.log"


def on_path(folder: Path) -> str:
    """A PATH on which a folder's programs come first."""
    return f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
