"""Errors as RFC 9457 has them: what was refused, why, and what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from domain.mistakes import mistakes_in_words
from storage.database import DatabaseError, PoolExhaustedError, first_line, is_lost

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2

AWAY = (
    "The database does not answer. Ask again in a moment. If you sent commands, it is not known "
    "whether they were accepted: send the same again with the same ids, and each counts once."
)


class Problem(BaseModel):
    """RFC 9457. `type` names the kind of problem and stays the same; `detail` is for people."""

    type: str = Field(examples=["urn:layby:problem:not-found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no command m-1 in account acme."])


class ProblemError(Exception):
    """A request is refused; told to the caller as it is."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.problem = problem(status, detail, name)
        self.headers = dict(headers or {})
        self.more = more

    def response(self) -> Response:
        content = {**self.problem.model_dump(), **self.more}
        return JSONResponse(content, self.status, headers=self.headers, media_type=MEDIA_TYPE)


def problem(status: HTTPStatus, detail: str, name: str | None = None) -> Problem:
    """A problem of this status; named like it, unless there is a name that says more."""
    named = name or status.phrase.lower().replace(" ", "-")
    return Problem(
        type=f"urn:layby:problem:{named}", title=status.phrase, status=status, detail=detail
    )


def unavailable(detail: str = AWAY, *, name: str | None = None) -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        detail,
        name=name,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def tell_problems(app: FastAPI) -> None:
    """Whatever goes wrong in a request is answered with a problem."""
    app.add_exception_handler(ProblemError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _by_framework)
    app.add_exception_handler(DatabaseError, _database)
    app.add_exception_handler(PoolExhaustedError, _busy)
    app.add_exception_handler(Exception, _broken)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response()


def _invalid(_: Request, error: Exception) -> Response:
    """FastAPI's own validation, in our words and without what was given."""
    assert isinstance(error, RequestValidationError)
    detail = f"The request has a mistake: {mistakes_in_words(error.errors())}."
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, name="invalid-request").response()


_DETAILS = {404: "There is nothing at this address. /openapi.json lists what there is."}


def _by_framework(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = _DETAILS.get(error.status_code, f"{error.detail}.")
    return ProblemError(status, detail, headers=error.headers).response()


def _database(request: Request, error: Exception) -> Response:
    assert isinstance(error, DatabaseError)
    if is_lost(error):
        log.warning("database_away", reason=first_line(error))
        return unavailable().response()
    return _broken(request, error)


def _busy(_: Request, __: Exception) -> Response:
    return unavailable(
        "Too many requests wait for the database. Ask again in a moment.", name="busy"
    ).response()


def _broken(_: Request, error: Exception) -> Response:
    log.error("request_failed", exc_info=error)
    return ProblemError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something is wrong on our side, and written down in the log. If you sent commands, look "
        "at their outcome, or send the same again with the same ids: each counts once.",
    ).response()
