"""Email as files: a Maildir, which mail programs open as a mailbox."""

import os
import secrets
import socket
import time
from pathlib import Path

from channels.email_header import UnsendableMessageError
from channels.email_message import build_email
from channels.folder import LATE, Folder
from channels.url import ChannelUrl
from config.machine_time import Deadline
from domain.message import Answer, Message, Result


def file_email(url: ChannelUrl) -> "Maildir":
    return Maildir(Folder(url))


class Maildir:
    """One file per message in `email/new`: a key handed over twice is there twice."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._mailbox = folder.path / "email"
        # Characters that a Maildir gives a meaning to.
        self._host = socket.gethostname().replace("/", "_").replace(":", "_")
        self.name = folder.name
        self.capacity = folder.options.capacity

    async def hand_over(self, message: Message, deadline: Deadline) -> Result:
        try:
            content = build_email(message).content.replace(b"\r\n", b"\n")
        except UnsendableMessageError as error:
            return Result(Answer.PERMANENT, str(error))
        return await self._folder.hand_over(lambda: self._deliver(content, deadline), deadline)

    async def check(self) -> str:
        return self._folder.check(self._probe)

    async def close(self) -> None:
        """Nothing stays open between messages."""

    def _deliver(self, content: bytes, deadline: Deadline) -> Result:
        name = self._unique_name()
        draft = self._mailbox / "tmp" / name
        try:
            try:
                self._write(draft, content)
            except FileNotFoundError:
                self._make_folders()
                self._write(draft, content)
            # A reader of the Maildir sees nothing before the rename: it is the last moment.
            if deadline.passed:
                draft.unlink()
                return LATE
            draft.rename(self._mailbox / "new" / name)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        return Result(Answer.ACCEPTED, f"written to {self.name}", name)

    def _write(self, draft: Path, content: bytes) -> None:
        with draft.open("xb", buffering=0) as file:
            written = file.write(content)
            while written < len(content):
                written += file.write(content[written:])
            if self._folder.options.fsync:
                os.fsync(file.fileno())

    def _unique_name(self) -> str:
        return f"{int(time.time())}.R{secrets.token_hex(8)}.{self._host}"

    def _make_folders(self) -> None:
        for part in ("tmp", "new", "cur"):
            (self._mailbox / part).mkdir(parents=True, exist_ok=True)

    def _probe(self) -> None:
        self._make_folders()
        draft = self._mailbox / "tmp" / self._unique_name()
        try:
            self._write(draft, b"Layby checks that it can write here.\n")
        finally:
            draft.unlink(missing_ok=True)
