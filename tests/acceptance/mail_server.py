"""A real SMTP server in a process of its own, and the record of what it accepted.

The record has a line for each message, written when its final dot was read and before the reply: so
what is not in it never reached the server, and its time is the earliest that can be known.
"""

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from acceptance.guarded import Guarded
from aiosmtpd.smtp import SMTP, Envelope, Session
from patience import until

_HEADER = re.compile(rb"^(Message-ID|Subject): (.*?)\r?$", re.MULTILINE)


class Mail(NamedTuple):
    """One message that the server accepted."""

    key: str
    """Its Message-ID."""
    recipient: str
    subject: str
    received_at: float
    """By the machine's wall clock, which is also the database's."""


class MailServer:
    """Starts the server; `hold` names a command whose reply it keeps back until `release`."""

    def __init__(self, folder: Path, environ: Mapping[str, str], hold: str = "") -> None:
        self._record = folder / "received.jsonl"
        self._reached = folder / "held"
        self._port = folder / "port"
        self._read = 0
        self._mails: list[Mail] = []
        command = [sys.executable, __file__, str(folder), hold]
        self._log = folder / "mail.log"
        # As a program it finds what is beside it; `patience` is one folder up.
        found = {**environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        self._process = Guarded(command, found, self._log, folder)
        until(lambda: self._port.exists() or self._process.process.poll(), "an SMTP server")
        assert self._port.exists(), self._log.read_text(encoding="utf-8")

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._port.read_text()}"

    def mails(self) -> list[Mail]:
        """All that was accepted so far."""
        if self._record.exists():
            with self._record.open("rb") as record:
                record.seek(self._read)
                lines = record.read().split(b"\n")
            self._read += sum(len(line) + 1 for line in lines[:-1])
            self._mails += [Mail(*json.loads(line)) for line in lines[:-1]]
        return self._mails

    @property
    def held(self) -> int:
        """How many replies it has kept back so far."""
        return self._reached.stat().st_size if self._reached.exists() else 0

    def release(self) -> None:
        """Give the replies that were kept back, and keep none back from now on."""
        self._process.process.send_signal(signal.SIGUSR1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()


class _Recorder:
    """Writes down, then replies; or replies once it is released."""

    def __init__(self, folder: Path, hold: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._record = os.open(folder / "received.jsonl", flags, 0o600)
        self._reached = os.open(folder / "held", flags, 0o600)
        self._hold = hold
        self.released = asyncio.Event()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return await self._reply("RCPT", "250 OK")

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802
        at = time.time()
        assert isinstance(envelope.content, bytes)
        headers = dict(_HEADER.findall(envelope.content.partition(b"\r\n\r\n")[0]))
        mail = Mail(
            headers[b"Message-ID"].decode(), envelope.rcpt_tos[0], headers[b"Subject"].decode(), at
        )
        os.write(self._record, json.dumps(mail).encode() + b"\n")
        return await self._reply("DATA", "250 OK taken")

    async def _reply(self, command: str, words: str) -> str:
        if command == self._hold and not self.released.is_set():
            os.write(self._reached, b".")
            await self.released.wait()
        return words


async def _serve(folder: Path, hold: str) -> None:
    loop = asyncio.get_running_loop()
    recorder = _Recorder(folder, hold)
    loop.add_signal_handler(signal.SIGUSR1, recorder.released.set)
    server = await loop.create_server(
        lambda: SMTP(recorder, hostname="mail.example", enable_SMTPUTF8=False), "127.0.0.1", 0
    )
    port = folder / "port.new"
    port.write_text(str(server.sockets[0].getsockname()[1]))
    port.rename(folder / "port")
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2]))
