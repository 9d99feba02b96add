"""An email as the bytes that SMTP and a Maildir take.

Put together by hand, not by `email.message.EmailMessage`: that parses each header value anew,
reads encoded words in it and, in older patch releases of Python, lets a line break in one become
a new header (CVE-2024-6923, seen on 3.11.7); it also takes 50 times as long (docs/channels.md).
"""

import binascii
import secrets
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import NamedTuple
from urllib.parse import quote

from channels.email_header import (
    UnsendableMessageError,
    ascii_address,
    header_text,
    refuse_line_breaks,
    sender_mailbox,
)
from domain.message import Message

_LONGEST_LINE = 998
"""RFC 5322 2.1.1, without its CRLF."""
_KEY_CHARACTERS = "!#$&'*+/=?^`{|}"
"""What RFC 5322 allows in a Message-ID beyond letters, digits and `_.-~`; the rest becomes %XX."""


class Email(NamedTuple):
    """Ready for the wire. Holds personal data: never log one."""

    sender: str
    recipient: str
    content: bytes
    """Lines end in CRLF, the last one too; leading dots are not doubled yet."""


def build_email(message: Message) -> Email:
    """Build the email; raises UnsendableMessageError where no retry could help."""
    sender = sender_mailbox(message.sender)
    recipient = ascii_address(refuse_line_breaks(message.recipient, "recipient"), "recipient")
    key = quote(refuse_line_breaks(message.key, "key"), safe=_KEY_CHARACTERS)
    subject = refuse_line_breaks(message.subject or "", "subject")
    head = (
        f"From: {sender.header}\r\n"
        f"To: {recipient}\r\n"
        f"Subject: {header_text(subject)}\r\n"
        f"Date: {format_datetime(datetime.now(UTC))}\r\n"
        f"Message-ID: <{key}@{sender.domain}>\r\n"
        "MIME-Version: 1.0\r\n"
    )
    return Email(sender.address, recipient, head.encode("ascii") + _body(message))


def _body(message: Message) -> bytes:
    text = _part("plain", message.text)
    if message.html is None:
        return text
    # Random, so that no text can hold it; "=_" never occurs in quoted-printable either.
    boundary = f"=_{secrets.token_hex(12)}".encode()
    return (
        b'Content-Type: multipart/alternative; boundary="%b"\r\n\r\n' % boundary
        + b"--%b\r\n%b\r\n" % (boundary, text)
        + b"--%b\r\n%b\r\n" % (boundary, _part("html", message.html))
        + b"--%b--\r\n" % boundary
    )


def _part(subtype: str, text: str) -> bytes:
    try:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").encode()
    except UnicodeEncodeError:
        raise UnsendableMessageError(
            "The text holds half a surrogate pair, which has no encoding. Correct its values."
        ) from None
    encoding, body = _seven_bit((lines.removesuffix(b"\n") + b"\n").replace(b"\n", b"\r\n"))
    head = (
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    return head.encode("ascii") + body


def _seven_bit(body: bytes) -> tuple[str, bytes]:
    if body.isascii() and b"\0" not in body and max(map(len, body.split(b"\r\n"))) <= _LONGEST_LINE:
        return "7bit", body
    quoted = binascii.b2a_qp(body)
    if len(quoted) <= len(body) * 3 // 2:
        return "quoted-printable", quoted
    packed = binascii.b2a_base64(body, newline=False)
    return "base64", b"".join(packed[at : at + 76] + b"\r\n" for at in range(0, len(packed), 76))
