"""How far a conversation with an SMTP server got, and the ways in which it ends early."""

from enum import StrEnum


class Stage(StrEnum):
    """The last thing that was sent to the server."""

    CONNECTION = "the connection"
    HELLO = "EHLO"
    STARTTLS = "STARTTLS"
    SIGN_IN = "AUTH"
    RESET = "RSET"
    SENDER = "MAIL FROM"
    RECIPIENT = "RCPT TO"
    DATA = "DATA"
    TEXT = "the text"
    FINAL_DOT = "the final dot"
    QUIT = "QUIT"


class RefusedError(Exception):
    """The server answered, and not with yes."""

    def __init__(self, stage: Stage, code: int, text: str) -> None:
        super().__init__(stage, code)
        self.stage = stage
        self.code = code
        self.text = text
        """The server's words: they may name the recipient, so they go nowhere."""

    @property
    def leaves_connection_usable(self) -> bool:
        return 400 <= self.code < 600 and self.code != 421  # noqa: PLR2004 - RFC 5321 4.2.1, 3.8


class ConnectionBrokenError(Exception):
    """The connection was lost, or what came over it was no SMTP."""


class StaleConnectionError(Exception):
    """The server had given up the idle connection: nothing of this message was sent."""


class LateError(Exception):
    """The deadline passed before the final dot: it was held back."""


class MissingExtensionError(Exception):
    """The server does not offer what the URL asks for; the text says what to do."""
