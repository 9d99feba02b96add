"""The app: every route, and what surrounds them. Nothing is opened until it is served."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import to_thread
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.types import ASGIApp

from web import commands, customers, forecast, health, metrics, openapi, queues, tokens
from web.outer import Outer
from web.problems import tell_problems
from web.services import DATABASE_THREADS, Services


def make_app(site: Services) -> ASGIApp:
    """What a server serves."""
    app, described = _routes()
    app.state.services = site
    paths = [
        (one.path, one.methods)
        for one in iter_route_contexts(app.routes)
        if one.path is not None and one.methods
    ]
    return Outer(app, site, paths, openapi.queries(described))


def openapi_document() -> dict[str, Any]:
    """The same app, described."""
    return _routes()[1]


def _routes() -> tuple[FastAPI, dict[str, Any]]:
    # No /docs and /redoc: their pages load scripts from elsewhere. No telemetry: FastAPI would send
    # errors with their messages to whatever address OTEL_… variables of the machine name.
    app = FastAPI(
        lifespan=_few_threads,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    for one in (commands, customers, forecast, queues, tokens, health, metrics):
        app.include_router(one.router)
    described = openapi.document(app)
    app.add_api_route("/openapi.json", lambda: JSONResponse(described), include_in_schema=False)
    tell_problems(app)
    return app, described


@asynccontextmanager
async def _few_threads(_: FastAPI) -> AsyncIterator[None]:
    """No more requests use the database at once than the pool has connections for."""
    to_thread.current_default_thread_limiter().total_tokens = DATABASE_THREADS
    yield
