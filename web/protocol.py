"""HTTP/1.1 as uvicorn speaks it, with a bound on how long a request's head may take.

uvicorn ends a connection that is idle between requests; one that sends its head a byte a minute,
or nothing at all, it would keep for ever.
"""

import asyncio
import json
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from web.problems import MEDIA_TYPE, problem

HEAD_SECONDS = 10.0


class PatientProtocol(H11Protocol):
    """Waits for a head so long and no longer; tells a bad one as a problem."""

    _late: asyncio.TimerHandle | None = None
    _heard = False
    head_seconds = HEAD_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Its lines hold whole paths and queries; web/outer.py logs routes.
        self.access_log = False
        self._begin_to_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._end_waiting()

    def data_received(self, data: bytes) -> None:
        self._heard = True
        super().data_received(data)
        if self.conn.our_state in (h11.SEND_RESPONSE, h11.SEND_BODY):
            self._end_waiting()
        elif self._late is None:
            self._begin_to_wait()

    def on_response_complete(self) -> None:
        self._heard = False
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._answer(
            HTTPStatus.BAD_REQUEST, f"{msg} It must be HTTP/1.1 with a head of 64 KB at most."
        )

    def _answer(self, status: HTTPStatus, detail: str) -> None:
        body = json.dumps(problem(status, detail).model_dump()).encode()
        headers: list[tuple[bytes, bytes]] = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        events: list[Any] = [
            h11.Response(status_code=status, headers=headers, reason=status.phrase.encode()),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ]
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _begin_to_wait(self) -> None:
        self._late = self.loop.call_later(self.head_seconds, self._close)

    def _end_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close(self) -> None:
        if self.transport.is_closing():
            return
        if self._heard and self.conn.our_state is h11.IDLE:
            self._answer(
                HTTPStatus.REQUEST_TIMEOUT,
                f"The request's head did not come within {self.head_seconds:g} seconds.",
            )
        else:
            self.transport.close()
