"""A real SMTP server (aiosmtpd) in its own thread, told where to refuse, hang or hang up."""

import asyncio
import contextlib
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Queue

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HANG = "hang"
"""Say nothing more on this connection."""
HANG_UP = "hang up"
"""Reset the connection instead of replying."""
STOP_READING = "stop reading"
"""After `DATA`: take nothing more from the socket until `resume_reading`."""
HOLD = "hold"
"""Reply as usual, once `released` is set."""

USER, PASSWORD = "post:master", "s3cret/?#@, ü"
SIGNAL_SECONDS = 10


@dataclass
class Script:
    """What the server does at a stage, once for each entry; then it goes on as usual."""

    at: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    reached: threading.Event = field(default_factory=threading.Event)
    """A scripted stage was reached."""
    released: threading.Event = field(default_factory=threading.Event)
    resumed: threading.Event = field(default_factory=threading.Event)
    replied: threading.Event = field(default_factory=threading.Event)
    """After HOLD: the reply is in the client's socket."""


class ScriptedSmtpServer:
    """Accepts every message that its script lets through, and remembers it."""

    def __init__(self, tls: ssl.SSLContext | None, *, start_tls: bool, sign_in: bool) -> None:
        self.script = Script()
        self.accepted: list[Envelope] = []
        self.endings: Queue[Exception | None] = Queue()
        """How each connection ended, seen from here: ConnectionResetError, or None for FIN."""
        self.commands: list[str] = []
        self.open_connections = 0
        self.most_connections = 0
        self.connections_made = 0
        self.tls = tls
        self.start_tls = start_tls
        self.sign_in = sign_in
        self.port = 0
        self.protocols: set[_ScriptedSmtp] = set()
        self.changed = threading.Condition()
        self.loop = asyncio.new_event_loop()

    async def listen(self) -> asyncio.Server:
        server = await self.loop.create_server(
            lambda: _ScriptedSmtp(self),
            "127.0.0.1",
            self.port,
            ssl=self.tls if not self.start_tls else None,
        )
        self.port = server.sockets[0].getsockname()[1]
        return server

    def call(self, do: Callable[[], None]) -> None:
        """Run `do` in the server's thread and wait for it."""
        done = threading.Event()
        self.loop.call_soon_threadsafe(do)
        self.loop.call_soon_threadsafe(done.set)
        assert done.wait(SIGNAL_SECONDS)

    def hang_up_on_all(self, last_words: bytes = b"") -> None:
        """Close every connection, as a server does with those that idle too long."""

        def hang_up() -> None:
            for protocol in list(self.protocols):
                protocol.wire().write(last_words)
                protocol.wire().close()

        self.call(hang_up)
        self.wait_until(lambda: not self.open_connections)

    def wait_until(self, true: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(true, SIGNAL_SECONDS)

    def handle_data(self, envelope: Envelope) -> None:
        with self.changed:
            self.accepted.append(envelope)
            self.changed.notify_all()


@contextlib.contextmanager
def running(
    tls: ssl.SSLContext | None = None, *, start_tls: bool = False, sign_in: bool = False
) -> Iterator[ScriptedSmtpServer]:
    server = ScriptedSmtpServer(tls, start_tls=start_tls, sign_in=sign_in)
    ready = threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        listener = await server.listen()
        ready.set()
        await stop.wait()
        listener.close()
        for protocol in list(server.protocols):
            # On some 3.11 an encrypted transport closed twice has forgotten its connection.
            with contextlib.suppress(AttributeError):
                protocol.wire().abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def run() -> None:
        with contextlib.closing(server.loop):
            server.loop.run_until_complete(serve())

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(SIGNAL_SECONDS)
    try:
        yield server
    finally:
        server.script.released.set()
        server.loop.call_soon_threadsafe(stop.set)
        thread.join(SIGNAL_SECONDS)
        assert not thread.is_alive()


class _ScriptedSmtp(SMTP):
    def __init__(self, server: ScriptedSmtpServer) -> None:
        def authenticate(*arguments: object) -> AuthResult:
            data = arguments[-1]
            assert isinstance(data, LoginPassword)
            good = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
            return AuthResult(success=good, handled=False)

        super().__init__(
            self,
            hostname="scripted",
            data_size_limit=None,
            tls_context=server.tls if server.start_tls else None,
            authenticator=authenticate if server.sign_in else None,
            auth_require_tls=server.start_tls,  # aiosmtpd sees no TLS where it began with it
            loop=server.loop,
        )
        self._server = server
        self._stage = "connection"
        self._silenced = False
        self._counted = False

    def wire(self) -> asyncio.Transport:
        assert isinstance(self.transport, asyncio.Transport)
        return self.transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._counted:
            self._counted = True
            with self._server.changed:
                self._server.protocols.add(self)
                self._server.connections_made += 1
                self._server.open_connections += 1
                self._server.most_connections = max(
                    self._server.most_connections, self._server.open_connections
                )
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        if self in self._server.protocols:
            with self._server.changed:
                self._server.protocols.discard(self)
                self._server.open_connections -= 1
                self._server.changed.notify_all()
            self._server.endings.put(error)

    def eof_received(self) -> bool:
        super().eof_received()
        return False  # aiosmtpd would keep its half of a connection that ends before the greeting

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        self._begin("final dot")
        self._finished = envelope
        return "250 2.0.0 Ok: queued as 4F2A for <bob@example.com>"

    def _begin(self, stage: str) -> None:
        self._server.commands.append(stage)
        self._stage = stage
        self._silenced = False

    async def push(self, status: str | bytes) -> None:
        if self._silenced:
            return
        actions = self._server.script.at[self._stage]
        if not actions:
            await self._reply(status)
            return
        await self._act(actions.pop(0), status)

    async def _act(self, action: str, status: str | bytes) -> None:
        script = self._server.script
        if action == STOP_READING:
            await self._reply(status)
            self.wire().pause_reading()
            script.reached.set()
            await self.loop.run_in_executor(None, script.resumed.wait, SIGNAL_SECONDS)
            self.wire().resume_reading()
            return
        script.reached.set()
        if action == HANG:
            await self.loop.create_future()
        elif action == HANG_UP:
            self._silenced = True
            self.wire().abort()
        elif action == HOLD:
            await self.loop.run_in_executor(None, script.released.wait, SIGNAL_SECONDS)
            await self._reply(status)
            script.replied.set()
        else:
            self._silenced = True
            await self._reply(action)
            if self._stage == "DATA":
                raise _DataRefusedError

    async def handle_exception(self, error: Exception) -> str:
        assert isinstance(error, _DataRefusedError), error
        return ""

    async def _reply(self, status: str | bytes) -> None:
        text = status if isinstance(status, str) else status.decode()
        if self._stage == "final dot" and text.startswith("2"):
            self._server.handle_data(self._finished)
        await super().push(status.encode() if isinstance(status, str) else status)


class _DataRefusedError(Exception):
    """Ends aiosmtpd's own handling of DATA, which would go on to read the text."""


def _command(stage: str) -> Callable[[_ScriptedSmtp, str | None], object]:
    async def command(self: _ScriptedSmtp, argument: str | None) -> None:
        self._begin(stage)
        await getattr(SMTP, f"smtp_{stage}")(self, argument)

    return command


for _stage in ("EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "RSET", "QUIT"):
    setattr(_ScriptedSmtp, f"smtp_{_stage}", _command(_stage))
