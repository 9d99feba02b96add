"""Header values and addresses of an email, in printable ASCII whatever they are made of."""

import re
from base64 import b64encode
from functools import lru_cache
from typing import NamedTuple

from email_validator import EmailNotValidError, validate_email

# A line break would begin a new header; half a surrogate pair has no encoding.
_NEVER_IN_A_HEADER = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ASCII_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+( [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PLAIN_TEXT = re.compile(r"[!-~]([ -~]{0,800}[!-~])?")
_WORD_BYTES = 39
"""In base64 and with its frame after `Subject: `: under the 76 characters of RFC 2047."""


class UnsendableMessageError(Exception):
    """The message itself can't be sent, now or later; the text says which part and why."""


class Mailbox(NamedTuple):
    """An address with its display name, if any."""

    name: str
    address: str
    """ASCII: the domain in its IDNA form."""

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    @property
    def header(self) -> str:
        return f"{_phrase(self.name)} <{self.address}>" if self.name else self.address


@lru_cache(maxsize=256)
def sender_mailbox(sender: str) -> Mailbox:
    """Read `Name <address>` or a bare address. Cached: an account has one or a few senders."""
    name, bracket, rest = refuse_line_breaks(sender, "sender").rpartition("<")
    if not bracket:
        return Mailbox("", ascii_address(sender.strip(), "sender"))
    name = name.strip()
    if name.startswith('"') and name.endswith('"') and len(name) > 1:
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return Mailbox(name, ascii_address(rest.strip().removesuffix(">"), "sender"))


def ascii_address(address: str, part: str) -> str:
    """The address as SMTP takes it. The error never shows it."""
    if _ASCII_ADDRESS.fullmatch(address):
        return address
    try:
        known = validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        raise UnsendableMessageError(
            f"The {part} is no email address. Correct it, then send again."
        ) from None
    if known.ascii_email is None:
        raise UnsendableMessageError(
            f"The {part} has letters outside ASCII before its @, which few servers take. "
            "Use another address."
        )
    return known.ascii_email


def refuse_line_breaks(value: str, part: str) -> str:
    if _NEVER_IN_A_HEADER.search(value):
        raise UnsendableMessageError(
            f"The {part} holds a line break or another control character. Correct the template "
            "or the value that it comes from."
        )
    return value


def header_text(value: str) -> str:
    """Free text, as in a subject: itself where it is plain, else in encoded words."""
    if not value or (_PLAIN_TEXT.fullmatch(value) and "=?" not in value):
        return value
    return _encoded_words(value)


def _phrase(name: str) -> str:
    if "=?" in name or not _PLAIN_TEXT.fullmatch(name):
        return _encoded_words(name)
    if _PLAIN_PHRASE.fullmatch(name):
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'


def _encoded_words(value: str) -> str:
    words = [b""]
    for character in value:
        encoded = character.encode()
        if len(words[-1]) + len(encoded) > _WORD_BYTES:
            words.append(b"")
        words[-1] += encoded
    # Space between two encoded words is not text (RFC 2047 6.2), so they may be folded there.
    return "\r\n ".join(f"=?utf-8?b?{b64encode(word).decode()}?=" for word in words)
