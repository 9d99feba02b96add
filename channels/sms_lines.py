"""SMS as files: one JSON object a line."""

import asyncio
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from channels.folder import LATE, Folder
from channels.url import ChannelUrl
from config.machine_time import Deadline
from domain.message import Answer, Message, Result

_LOCKED_ELSEWHERE_SECONDS = 0.001


def file_sms(url: ChannelUrl) -> "SmsLines":
    return SmsLines(Folder(url))


class SmsLines:
    """Appends to `sms.jsonl`, which any number of processes may write at once."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._path = folder.path / "sms.jsonl"
        self.name = folder.name
        self.capacity = folder.options.capacity

    async def hand_over(self, message: Message, deadline: Deadline) -> Result:
        line = {
            "at": datetime.now(UTC).isoformat(),
            "key": message.key,
            "to": message.recipient,
            "from": message.sender,
            "text": message.text,
        }
        try:
            encoded = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        except UnicodeEncodeError:
            return Result(Answer.PERMANENT, "The message holds half a surrogate pair.")
        while True:
            try:
                return await self._folder.hand_over(
                    lambda: self._append(encoded, deadline), deadline
                )
            except _LockedElsewhereError:
                # Not waited for in the kernel: a process stopped with the lock would hold us up
                # past the deadline.
                await asyncio.sleep(_LOCKED_ELSEWHERE_SECONDS)

    async def check(self) -> str:
        return self._folder.check(self._probe)

    async def close(self) -> None:
        """Nothing stays open between messages."""

    def _append(self, line: bytes, deadline: Deadline) -> Result:
        with self._locked() as file:
            if deadline.passed:
                return LATE
            _append_whole(file, line)
            if self._folder.options.fsync:
                os.fsync(file)
        return Result(Answer.ACCEPTED, f"written to {self.name}")

    @contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            file = self._open()
        except FileNotFoundError:
            self._folder.path.mkdir(parents=True, exist_ok=True)
            file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _LockedElsewhereError from None
        else:
            yield file
        finally:
            os.close(file)

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _probe(self) -> None:
        self._folder.path.mkdir(parents=True, exist_ok=True)
        os.close(self._open())


class _LockedElsewhereError(Exception):
    """Another process is appending a line just now."""


def _append_whole(file: int, line: bytes) -> None:
    """Append all of the line or, where the disk is full, nothing of it."""
    end = os.fstat(file).st_size
    if end and os.pread(file, 1, end - 1) != b"\n":
        # A line that a crash of the machine cut short: ours must not become a part of it.
        line = b"\n" + line
    try:
        written = os.write(file, line)
        while written < len(line):
            written += os.write(file, line[written:])
    except OSError:
        os.ftruncate(file, end)
        raise
