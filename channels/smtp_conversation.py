"""Commands and replies over one connection to an SMTP server.

On aiosmtplib's protocol rather than its client: the client sends the final dot together with the
text, and closes gracefully where a deadline needs a reset.
"""

import asyncio
import socket
import struct
from contextlib import suppress

from aiosmtplib import SMTPException
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from channels.smtp_server import SmtpServer
from channels.smtp_stages import ConnectionBrokenError, RefusedError, Stage

POSITIVE, GO_ON = 2, 3
"""First digits of a reply, RFC 5321 4.2.1."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Conversation:
    """Raises RefusedError for any reply but the wanted one, else ConnectionBrokenError."""

    def __init__(self, protocol: SMTPProtocol) -> None:
        self._protocol = protocol
        self._writer: asyncio.StreamWriter | None = None
        self.stage = Stage.CONNECTION

    @classmethod
    async def begin(cls, server: SmtpServer) -> "Conversation":
        """Connect; raises OSError."""
        # Without happy_eyeballs_delay: cancelled at the wrong moment, that leaks the socket.
        transport, protocol = await asyncio.get_running_loop().create_connection(
            SMTPProtocol,
            server.host,
            server.port,
            ssl=server.tls if server.implicit_tls else None,
        )
        # From the start: even if this process is killed, the kernel discards what it still holds.
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
        )
        return cls(protocol)

    @property
    def is_open(self) -> bool:
        return self._protocol.is_connected

    @property
    def our_address(self) -> str:
        return str(self._transport().get_extra_info("sockname")[0])

    async def greeting(self) -> None:
        try:
            self._must_be(await self._protocol.read_response(), POSITIVE)
        except (SMTPException, OSError) as error:
            raise ConnectionBrokenError(self.stage) from error

    async def ask(self, stage: Stage, *words: bytes, wanted: int = POSITIVE) -> SMTPResponse:
        """Send one command and read the reply to it."""
        self._reach(stage)
        try:
            reply = await self._protocol.execute_command(*words)
        except (SMTPException, OSError) as error:
            raise ConnectionBrokenError(stage) from error
        return self._must_be(reply, wanted)

    async def encrypt(self, server: SmtpServer) -> None:
        """STARTTLS. Raises ssl.SSLError for a certificate that is not trusted."""
        self._reach(Stage.STARTTLS)
        try:
            await self._protocol.start_tls(server.tls, server_hostname=server.host)
        except SMTPException as error:
            code = getattr(error, "code", None)
            if code is None:
                raise ConnectionBrokenError(self.stage) from error
            raise RefusedError(self.stage, code, "") from error

    async def write_text(self, content: bytes) -> None:
        """Send the text of a message, all but its final dot, until the kernel has it."""
        self._reach(Stage.TEXT)
        if self._writer is None:
            # Pause as soon as anything waits: drain() then means that nothing does.
            self._transport().set_write_buffer_limits(high=1, low=0)
            self._writer = asyncio.StreamWriter(
                self._transport(), self._protocol, None, asyncio.get_running_loop()
            )
        try:
            self._protocol.write(content)
            await self._writer.drain()
        except (SMTPException, OSError) as error:
            raise ConnectionBrokenError(self.stage) from error

    def reset(self) -> None:
        """Drop the connection and all that is still in its buffers (RST, not FIN)."""
        if self._protocol.transport is not None:
            # On some 3.11 an encrypted transport closed twice has forgotten its connection.
            with suppress(AttributeError):
                self._transport().abort()

    def _transport(self) -> asyncio.Transport:
        # The protocol's own changes when the connection is encrypted, and goes when it is lost.
        if not isinstance(self._protocol.transport, asyncio.Transport):
            raise ConnectionBrokenError(self.stage)
        return self._protocol.transport

    def _reach(self, stage: Stage) -> None:
        # On a connection that is known to be lost nothing is sent: the stage stays as it was.
        if not self.is_open:
            raise ConnectionBrokenError(self.stage)
        self.stage = stage

    def _must_be(self, reply: SMTPResponse, wanted: int) -> SMTPResponse:
        if reply.code // 100 != wanted:
            raise RefusedError(self.stage, reply.code, reply.message)
        return reply
