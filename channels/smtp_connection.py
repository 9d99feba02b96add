"""A connection that is ready for messages: opening it, and sending one after another."""

import asyncio
import re

from aiosmtplib.auth import auth_login_encode, auth_plain_encode
from aiosmtplib.esmtp import parse_esmtp_extensions
from aiosmtplib.response import SMTPResponse

from channels.email_message import Email
from channels.smtp_conversation import GO_ON, Conversation
from channels.smtp_server import SmtpServer, StartTls
from channels.smtp_stages import (
    ConnectionBrokenError,
    LateError,
    MissingExtensionError,
    RefusedError,
    Stage,
    StaleConnectionError,
)
from config.machine_time import Deadline

_QUIT_SECONDS = 1.0
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


class SmtpConnection:
    """Whoever gets another exception than a RefusedError that leaves it usable must reset it."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._transaction_open = False
        self._used = False

    @property
    def is_open(self) -> bool:
        return self._conversation.is_open

    @property
    def stage(self) -> Stage:
        """How far the last message got."""
        return self._conversation.stage

    def reset(self) -> None:
        self._conversation.reset()

    async def quit(self) -> None:
        """Take leave of the server, without waiting long for its word."""
        try:
            async with asyncio.timeout(_QUIT_SECONDS):
                await self._conversation.ask(Stage.QUIT, b"QUIT")
        except (TimeoutError, ConnectionBrokenError, RefusedError):
            pass
        finally:
            self.reset()

    async def send(self, email: Email, deadline: Deadline) -> SMTPResponse:
        """Send one message; returns the server's yes to it."""
        ask = self._conversation.ask
        await self._begin(email.sender)
        await ask(Stage.RECIPIENT, b"RCPT", b"TO:<%b>" % email.recipient.encode("ascii"))
        await ask(Stage.DATA, b"DATA", wanted=GO_ON)
        await self._conversation.write_text(_LEADING_DOT.sub(b"..", email.content))
        # Without its final dot the server must discard the message (RFC 5321 4.1.1.4), so this is
        # the last moment. The timer round this call may be late: it stands still while the machine
        # is suspended, and waits while the event loop is busy.
        if deadline.passed:
            raise LateError
        try:
            return await ask(Stage.FINAL_DOT, b".")
        finally:
            self._transaction_open = False

    async def _begin(self, sender: str) -> None:
        used, self._used = self._used, True
        try:
            if self._transaction_open:
                await self._conversation.ask(Stage.RESET, b"RSET")
            self._transaction_open = True
            await self._conversation.ask(
                Stage.SENDER, b"MAIL", b"FROM:<%b>" % sender.encode("ascii")
            )
        except ConnectionBrokenError as error:
            if used:
                raise StaleConnectionError from error
            raise
        except RefusedError as refused:
            if used and (refused.stage is Stage.RESET or not refused.leaves_connection_usable):
                raise StaleConnectionError from refused
            raise


async def open_connection(server: SmtpServer) -> SmtpConnection:
    """Connect, encrypt, sign in. Raises OSError, or an error of smtp_stages."""
    conversation = await Conversation.begin(server)
    try:
        await _prepare(conversation, server)
        return SmtpConnection(conversation)
    except BaseException:
        conversation.reset()
        raise


async def _prepare(conversation: Conversation, server: SmtpServer) -> None:
    await conversation.greeting()
    offered, methods = await _greet(conversation, server)
    if not server.implicit_tls and server.options.starttls is not StartTls.NEVER:
        if "starttls" in offered:
            await conversation.encrypt(server)
            _, methods = await _greet(conversation, server)
        elif server.options.starttls is StartTls.REQUIRE or server.user is not None:
            raise MissingExtensionError(
                "it offers no STARTTLS, so neither password nor message may go to it. Use "
                "smtps://, or add ?starttls=never if nobody can listen on the way to it."
            )
    if server.user is not None:
        await _sign_in(conversation, server.user, server.password, methods)


async def _greet(
    conversation: Conversation, server: SmtpServer
) -> tuple[dict[str, str], list[str]]:
    name = server.options.hello or _address_literal(conversation)
    reply = await conversation.ask(Stage.HELLO, b"EHLO", name.encode("ascii"))
    return parse_esmtp_extensions(reply.message)


def _address_literal(conversation: Conversation) -> str:
    # RFC 5321 4.1.3: for hosts without a name of their own. Asking DNS for one could take minutes.
    address = conversation.our_address
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


async def _sign_in(
    conversation: Conversation, user: str, password: str, methods: list[str]
) -> None:
    if "plain" in methods:
        await conversation.ask(Stage.SIGN_IN, b"AUTH", b"PLAIN", auth_plain_encode(user, password))
    elif "login" in methods:
        encoded_user, encoded_password = auth_login_encode(user, password)
        await conversation.ask(Stage.SIGN_IN, b"AUTH", b"LOGIN", encoded_user, wanted=GO_ON)
        await conversation.ask(Stage.SIGN_IN, encoded_password)
    else:
        raise MissingExtensionError(
            "it offers neither AUTH PLAIN nor AUTH LOGIN. Take user and password out of the URL, "
            "or use the port where it lets users sign in (587 or 465)."
        )
