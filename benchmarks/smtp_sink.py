"""`python -m benchmarks.smtp_sink sink-PORT`: an SMTP server that takes everything and keeps none.

As little as a server can do, so that what is measured is who talks to it.
"""

import asyncio
import sys

_HELLO = b"250-sink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 100000000\r\n"
_END = b"\r\n.\r\n"


class _Session(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = b""
        self._in_text = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._take_text() if self._in_text else self._take_line():
            pass

    def _take_text(self) -> bool:
        text, end, rest = self._buffer.partition(_END)
        if not end:
            return False
        del text
        self._buffer, self._in_text = rest, False
        self._transport.write(b"250 taken\r\n")
        return True

    def _take_line(self) -> bool:
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return False
        self._buffer = rest
        match line[:4].upper():
            case b"EHLO":
                self._transport.write(_HELLO)
            case b"DATA":
                self._in_text = True
                self._transport.write(b"354 go on\r\n")
            case b"QUIT":
                self._transport.write(b"221 bye\r\n")
                self._transport.close()
            case _:
                self._transport.write(b"250 ok\r\n")
        return True


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Session, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1].rpartition("-")[2])))
