"""Email over SMTP, on a pool of connections that are used again and again."""

import asyncio

from channels import smtp_answers
from channels.email_header import UnsendableMessageError
from channels.email_message import Email, build_email
from channels.protocol import ChannelError
from channels.smtp_connection import SmtpConnection, open_connection
from channels.smtp_server import SmtpServer, read_server
from channels.smtp_stages import (
    ConnectionBrokenError,
    LateError,
    MissingExtensionError,
    RefusedError,
    StaleConnectionError,
)
from channels.url import ChannelUrl
from config.machine_time import Deadline, machine_seconds
from domain.message import Answer, Message, Result


def smtp_email(url: ChannelUrl) -> "SmtpChannel":
    return SmtpChannel(read_server(url))


class SmtpChannel:
    """At most `capacity` connections, each carrying one message at a time."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._idle: list[tuple[SmtpConnection, float]] = []
        """The one used last at the end, with when that was."""
        self._closed = False
        self.name = server.name
        self.capacity = server.options.connections
        self._free = asyncio.Semaphore(self.capacity)

    async def hand_over(self, message: Message, deadline: Deadline) -> Result:
        try:
            email = build_email(message)
        except UnsendableMessageError as error:
            return Result(Answer.PERMANENT, str(error))
        try:
            async with asyncio.timeout(deadline.remaining_seconds):
                await self._free.acquire()
        except TimeoutError:
            return Result(Answer.NOT_HANDED_OVER, "no connection was free before the deadline")
        try:
            if deadline.passed:
                return Result(Answer.NOT_HANDED_OVER, "the deadline passed before it began")
            return await self._hand_over(email, deadline)
        finally:
            self._free.release()

    async def check(self) -> str:
        """Connect, encrypt and sign in as for a message, then leave."""
        try:
            connection = await self._connect(self._server.options.connect_timeout)
        except _CannotConnectError as error:
            raise ChannelError(error.result.detail) from error
        await connection.quit()
        return f"{self.name} answers" + (" and lets us in" if self._server.user else "")

    async def close(self) -> None:
        """Close idle connections, and those in use once they are done."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.quit() for connection, _ in idle))
        await _let_sockets_close()

    async def _hand_over(self, email: Email, deadline: Deadline) -> Result:
        idle = self._take_idle()
        if idle is not None:
            try:
                return await self._send(idle, email, deadline)
            except StaleConnectionError:
                pass  # only this once: the next connection is a fresh one
        try:
            connection = await self._connect(deadline.remaining_seconds)
        except _CannotConnectError as error:
            return error.result
        return await self._send(connection, email, deadline)

    async def _connect(self, seconds: float) -> SmtpConnection:
        try:
            async with asyncio.timeout(min(seconds, self._server.options.connect_timeout)):
                return await open_connection(self._server)
        except RefusedError as error:
            raise _CannotConnectError(smtp_answers.refused(error, self.name)) from error
        except (OSError, ConnectionBrokenError, MissingExtensionError) as error:
            await _let_sockets_close()
            raise _CannotConnectError(smtp_answers.unreachable(error, self.name)) from error

    async def _send(self, connection: SmtpConnection, email: Email, deadline: Deadline) -> Result:
        """Send over this connection, and keep it only if the server ended with a clear word."""
        usable = False
        try:
            async with asyncio.timeout(deadline.remaining_seconds):
                reply = await connection.send(email, deadline)
            usable = True
            return smtp_answers.accepted(reply, self.name)
        except RefusedError as error:
            usable = error.leaves_connection_usable
            return smtp_answers.refused(error, self.name)
        except ConnectionBrokenError:
            return smtp_answers.no_word(connection.stage, "the connection broke", self.name)
        except (TimeoutError, LateError):
            return smtp_answers.no_word(connection.stage, "the deadline passed", self.name)
        finally:
            await self._give_back(connection, usable=usable)

    def _take_idle(self) -> SmtpConnection | None:
        oldest = machine_seconds() - self._server.options.idle
        while self._idle:
            connection, since = self._idle.pop()
            if connection.is_open and since >= oldest:
                return connection
            # A firewall may have forgotten it; the server would wait for us in vain.
            connection.reset()
        return None

    async def _give_back(self, connection: SmtpConnection, *, usable: bool) -> None:
        if usable and connection.is_open and not self._closed:
            self._idle.append((connection, machine_seconds()))
        else:
            connection.reset()
            await _let_sockets_close()


class _CannotConnectError(Exception):
    def __init__(self, result: Result) -> None:
        super().__init__(result.detail)
        self.result = result


async def _let_sockets_close() -> None:
    """The event loop closes a socket, and so resets it, in the turn after the one that says so."""
    await asyncio.sleep(0)
