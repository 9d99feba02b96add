"""What went out, from the outbox's own files, and what of it went out too late."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from pathlib import Path

from domain.message import Channel


@dataclass(frozen=True)
class Delivered:
    """A message as its file tells it."""

    channel: Channel
    recipient: str
    at: datetime


@dataclass(frozen=True)
class Hush:
    """Addresses that nothing may reach from `quiet_at` on, until `ended_at` if it ended."""

    recipients: frozenset[str]
    quiet_at: datetime
    ended_at: datetime | None = None

    def broken_by(self, message: Delivered) -> bool:
        ended = self.ended_at is not None and message.at >= self.ended_at
        return message.recipient in self.recipients and message.at > self.quiet_at and not ended


def read_outbox(outbox: Path) -> list[Delivered]:
    """Every message of a file:// outbox, oldest first."""
    mails = [_mail(path) for path in (outbox / "email").glob("[nc]*/*")]
    lines = outbox / "sms.jsonl"
    texts = lines.read_bytes().splitlines() if lines.exists() else []
    return sorted([*mails, *map(_text, texts)], key=lambda message: message.at)


def after_quiet(messages: Iterable[Delivered], hushes: Iterable[Hush]) -> list[Delivered]:
    """The messages that reached somebody who had to hear nothing any more."""
    told: dict[str, list[Hush]] = {}
    for hush in hushes:
        for recipient in hush.recipients:
            told.setdefault(recipient, []).append(hush)
    return [
        message
        for message in messages
        if any(hush.broken_by(message) for hush in told.get(message.recipient, ()))
    ]


def same(recipient: str) -> str:
    """An address or number in the one form in which two are compared."""
    return recipient.strip().casefold()


def _mail(path: Path) -> Delivered:
    # The change of name that delivers a mail is in ctime, the last byte in mtime: the later counts.
    status = path.stat()
    written = max(status.st_mtime, status.st_ctime)
    with path.open("rb") as file:
        head = BytesHeaderParser().parse(file)
    return Delivered(Channel.EMAIL, same(str(head["To"])), datetime.fromtimestamp(written, UTC))


def _text(line: bytes) -> Delivered:
    told = json.loads(line)
    return Delivered(Channel.SMS, same(told["to"]), datetime.fromisoformat(told["at"]))
