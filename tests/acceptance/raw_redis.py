"""A producer that is not Python, as far as Redis can tell: RESP by hand over a socket.

It uses nothing of Layby and nothing of a Redis client: what it sends is what a shop written in any
language would send.
"""

import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_AT_ONCE = 200


class RawRedis:
    """One connection; every request is encoded by hand, every reply read as a line."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme == "unix":
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(20)
            self._socket.connect(parts.path)
        else:
            address = (parts.hostname or "127.0.0.1", parts.port or 6379)
            self._socket = socket.create_connection(address, timeout=20)
        self._replies = self._socket.makefile("rb")
        if parts.password:
            self._ask([b"AUTH", parts.password.encode()])
        if database := parts.path.strip("/") if parts.scheme != "unix" else "":
            self._ask([b"SELECT", database.encode()])

    def publish(self, *commands: bytes) -> list[str]:
        """XADD each command, many in flight at once; returns the entries' ids."""
        return self.add([b"command", command] for command in commands)

    def add(self, entries: Iterable[list[bytes]]) -> list[str]:
        """XADD entries of any fields and values."""
        waiting = [[b"XADD", b"layby:commands", b"*", *fields] for fields in entries]
        ids = []
        while waiting:
            now, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
            self._socket.sendall(b"".join(map(_encoded, now)))
            ids += [self._reply() for _ in now]
        return ids

    def send(self, request: bytes) -> str:
        """Send these very bytes; returns what Redis answered."""
        self._socket.sendall(request)
        return self._reply()

    def flush_all(self) -> None:
        """Lose everything that Redis knows."""
        assert self._ask([b"FLUSHALL"]) == "OK"

    def stream_length(self) -> int:
        """How many entries nobody has acknowledged yet."""
        return int(self._ask([b"XLEN", b"layby:commands"]))

    def close(self) -> None:
        self._replies.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, words: list[bytes]) -> str:
        return self.send(_encoded(words))

    def _reply(self) -> str:
        line = self._replies.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        assert kind in (b"+", b":", b"$"), line
        if kind == b"$":
            rest = self._replies.read(int(rest) + 2)[:-2]
        return rest.decode()


def _encoded(words: list[bytes]) -> bytes:
    """A RESP array of bulk strings."""
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)
