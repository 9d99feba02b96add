"""Runs `layby` in processes forked from one that has imported it already.

Each is a process of its own, with its own environment, folder, streams and exit status; what is
saved is 0.8 s of processor time a start, nearly all of it imports.
"""

import array
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

_SECONDS = 60


class WarmLayby:
    """The process that has imported it. It ends when its standard input does: with the tests."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="layby-warm-")
        self._path = str(Path(self._folder.name) / "socket")
        self._process = subprocess.Popen(
            [sys.executable, __file__, self._path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def run(
        self, words: Sequence[str], environ: Mapping[str, str], folder: Path, typed: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """What `layby WORDS` prints and ends with."""
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            given.write(typed.encode())
            given.seek(0)
            streams = [given.fileno(), out.fileno(), err.fileno()]
            status = self._begun(words, environ, folder, streams).wait(_SECONDS)
            printed = [_all_of(stream) for stream in (out, err)]
        return subprocess.CompletedProcess(["layby", *words], status, *printed)

    def start(
        self, command: Sequence[str], environ: Mapping[str, str], output: Path, folder: Path
    ) -> "WarmProcess":
        """`layby WORDS` in a session of its own, which can't outlive the tests: `Guarded`."""
        program, *words = command
        assert program == "layby"
        read_end, write_end = os.pipe()
        with (
            output.open("ab") as sink,
            Path(os.devnull).open("rb") as nothing,
            os.fdopen(read_end, "rb") as guard,
        ):
            streams = [nothing.fileno(), sink.fileno(), sink.fileno(), guard.fileno()]
            return self._begun(words, environ, folder, streams, write_end)

    def _begun(
        self,
        words: Sequence[str],
        environ: Mapping[str, str],
        folder: Path,
        streams: Sequence[int],
        guarded_by: int | None = None,
    ) -> "WarmProcess":
        to = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        to.settimeout(_SECONDS)
        to.connect(self._path)
        fds = array.array("i", streams)
        said = json.dumps([list(words), dict(environ), str(folder)]).encode()
        to.sendmsg([len(said).to_bytes(8)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        to.sendall(said)
        return WarmProcess(to, guarded_by)

    def close(self) -> None:
        self._process.communicate()
        self._folder.cleanup()


class WarmProcess:
    """A running `layby`."""

    def __init__(self, to: socket.socket, guarded_by: int | None) -> None:
        self._to = to
        self._said = to.makefile()
        self._guarded_by = guarded_by
        self._lock = threading.Lock()
        self._status: int | None = None
        self.pid = int(self._said.readline())

    def send_signal(self, number: signal.Signals) -> None:
        if self._status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float | None = None) -> int:
        """Its exit status, once it has ended; whoever waits meanwhile waits for the first."""
        with self._lock:
            if self._status is None:
                self._to.settimeout(seconds)
                self._status = int(self._said.readline())
                self._said.close()
                self._to.close()
                if self._guarded_by is not None:
                    with suppress(BrokenPipeError):
                        os.write(self._guarded_by, b"ended")
                    os.close(self._guarded_by)
            return self._status

    def kill(self) -> int:
        self.send_signal(signal.SIGKILL)
        return self.wait(_SECONDS)


def _all_of(stream: Any) -> str:
    stream.seek(0)
    text: str = stream.read().decode()
    return text


def _serve(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(path)
        door.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            ready, _, _ = select.select([door, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            caller, _ = door.accept()
            if not os.fork():
                door.close()
                _answer(caller)
            caller.close()


def _answer(caller: socket.socket) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, fds, _, _ = socket.recv_fds(caller, 8, 4)
    words, environ, folder = json.loads(_exactly(caller, int.from_bytes(length)))
    streams, guards = fds[:3], fds[3:]
    child = os.fork()
    if not child:
        caller.close()
        for guard in guards:
            os.setsid()
            _guard(os.getpid(), guard, streams)
        _become(words, environ, folder, streams)
    for fd in fds:
        os.close(fd)
    caller.sendall(f"{child}\n".encode())
    _, ended = os.waitpid(child, 0)
    with suppress(BrokenPipeError):  # the tests were killed, and it with them
        caller.sendall(f"{os.waitstatus_to_exitcode(ended)}\n".encode())
    os._exit(0)


def _guard(pid: int, pipe: int, streams: Sequence[int]) -> None:
    """Have a process killed when the tests end, and with them a pipe that only they can write."""
    if os.fork():
        os.close(pipe)
        return
    for stream in (*streams, 0, 1, 2):
        os.close(stream)
    if not os.read(pipe, 1):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _exactly(caller: socket.socket, length: int) -> bytes:
    read = b""
    while len(read) < length:
        read += caller.recv(length - len(read))
    return read


def _become(
    words: list[str], environ: dict[str, str], folder: str, streams: Sequence[int]
) -> NoReturn:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["layby", *words]
    status: object = 0
    try:
        main()
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001 - as the interpreter does at its top
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0 if status is None else 1)


if __name__ == "__main__":
    from ops.cli import main

    _serve(sys.argv[1])
