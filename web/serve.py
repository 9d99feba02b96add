"""A server for the app, in a thread: the main one waits for signals, as everywhere here."""

import ipaddress
import socket
import threading
from collections.abc import Callable
from typing import Self

import structlog
from uvicorn import Config, Server

from storage.database import Engine
from web.address import url_of
from web.app import make_app
from web.protocol import PatientProtocol
from web.services import Services
from web.waiting import Waiters
from workers.broker import Bell

log = structlog.get_logger()

KEEP_ALIVE_SECONDS = 75
"""Longer than a reverse proxy keeps a connection it may use again (nginx: 60)."""
STOP_WITHIN_SECONDS = 30
"""Longer than any request that does not wait; those that do are answered at once."""


class WebServer:
    """Serves from `start` until `stop`."""

    def __init__(
        self,
        engine: Engine,
        bell: Bell,
        redis_url: str,
        key: bytes,
        bound: socket.socket,
        died: Callable[[], None] = lambda: None,
    ) -> None:
        self.waiters = Waiters(engine)
        self.url = url_of(bound)
        public = not ipaddress.ip_address(bound.getsockname()[0]).is_loopback
        site = Services(engine, bell, redis_url, key, self.waiters, public)
        config = Config(
            make_app(site),
            http=PatientProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_WITHIN_SECONDS,
        )
        self._bound = bound
        self._died = died
        self._error: BaseException | None = None
        self._server = _Server(config, self.waiters)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> Self:
        self._bound.listen()
        self._thread.start()
        log.info("listening", url=self.url)
        return self

    def stop(self) -> None:
        """Answer what is open, and those that wait with the outcome so far; then end."""
        self._server.should_exit = True
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._bound])
        except BaseException as error:  # noqa: BLE001 - raised in `stop`, to whoever asked
            self._error = error
            self._died()


class _Server(Server):
    def __init__(self, config: Config, waiters: Waiters) -> None:
        super().__init__(config)
        self._waiters = waiters

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._waiters.close()
        await super().shutdown(sockets)
