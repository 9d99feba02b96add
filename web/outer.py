"""What every request passes, outside of the app: methods, ids in paths, headers, the log.

Plain ASGI, so that a request that waits is told when its client has gone.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

import structlog
from fastapi.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.machine_time import machine_seconds
from domain.mistakes import path_in_words
from web.names import keep_slashes
from web.problems import ProblemError
from web.services import Services

log = structlog.get_logger()

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)

_UNLOGGED = {"/healthz", "/readyz", "/metrics"}
"""Asked every few seconds by machines."""

_NOWHERE = "(nowhere)"


class Outer:
    """Wraps the app; `routes` are its paths with the methods of each, `queries` what these take."""

    def __init__(
        self,
        app: ASGIApp,
        site: Services | None,
        routes: Iterable[tuple[str, set[str]]],
        queries: Mapping[tuple[str, str], frozenset[str]],
    ) -> None:
        self._app = app
        self._site = site
        self._queries = queries
        self._methods: dict[str, set[str]] = {}
        for path, methods in routes:
            self._methods.setdefault(path, set()).update(methods)
        self._patterns: list[tuple[re.Pattern[str], str]] = [
            (compile_path(path)[0], path) for path in self._methods
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, method = keep_slashes(scope), scope["method"]
        route = next((one for pattern, one in self._patterns if pattern.match(path)), None)
        # HEAD is GET without the body, which the server leaves out.
        inner = {**scope, "path": path, "method": "GET" if method == "HEAD" else method}
        app = self._about_methods(route, inner["method"])
        app = app or self._about_query(route, inner) or self._app
        answer = _Answer(send)
        began = machine_seconds()
        try:
            await app(inner, receive, answer)
        finally:
            self._tell(method, route or _NOWHERE, answer.status, machine_seconds() - began)

    def _about_methods(self, route: str | None, method: str) -> ASGIApp | None:
        """The answer to a method that the app does not know at this address."""
        if route is None or method in self._methods[route]:
            return None
        methods = self._methods[route]
        allow = ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
        if method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Allow": allow})
        detail = f"{route} is not for this method. It takes: {allow}."
        return ProblemError(
            HTTPStatus.METHOD_NOT_ALLOWED, detail, headers={"Allow": allow}
        ).response()

    def _about_query(self, route: str | None, scope: Scope) -> ASGIApp | None:
        """The answer to a parameter that this address has not: it would be as if it were not there.

        To one that is given twice, too: nobody knows which was meant.
        """
        if route is None:
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        names = [name for name, _ in query]
        known = self._queries.get((route, scope["method"]), frozenset())
        mistakes = [
            f"{path_in_words(('query', name))}{_NOT_THERE if name not in known else _TWICE}"
            for name, times in Counter(names).items()
            if name not in known or times > 1
        ]
        if not mistakes:
            return None
        there = f"It takes: {', '.join(sorted(known))}." if known else "It takes no parameters."
        detail = f"The request has a mistake: {'; '.join(mistakes[:_MOST_SAID])}. {there}"
        return ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, detail, name="invalid-request"
        ).response()

    def _tell(self, method: str, route: str, status: int, seconds: float) -> None:
        """The route and never the path or the query: those hold ids, or whatever one puts there."""
        known = method if method in _METHODS else "(other)"
        if self._site is not None:
            self._site.answered[known, route, status] += 1
        if route not in _UNLOGGED:
            log.info(
                "request",
                method=known,
                route=route,
                status=int(status),  # and not as <HTTPStatus.OK: 200>
                milliseconds=round(seconds * 1000),
            )


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

_NOT_THERE = "is not a parameter of this address"
_TWICE = "is given twice"
_MOST_SAID = 20

_GONE = 499
"""Logged for a client that left before it was answered; nginx's number for it."""


class _Answer:
    """Passes an answer on, with our headers, and remembers its status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = _GONE

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
        await self._send(message)
