"""What a request brings, read within bounds of size and time, and split into commands."""

import asyncio
import re
from collections.abc import Iterator
from http import HTTPStatus
from itertools import islice
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from domain.commands import MAX_BYTES
from domain.json_text import BOM, items, said_twice
from domain.mistakes import in_words, path_in_words
from web.problems import ProblemError
from web.room import Take

M = TypeVar("M", bound=BaseModel)

BODY_SECONDS = 30.0
"""How long a client may take to send its body."""

BATCH_AT_MOST = 1_000
"""Commands in one request."""

JSON_AT_MOST = 100_000
"""Bytes of a body that is no command."""

JSON = "application/json"
LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl")

_CLOSE = {"Connection": "close"}


async def read_body(request: Request, take: Take, at_most: int = MAX_BYTES) -> bytes:
    """The whole body, refused as soon as it is known to be too long, or too slow."""
    if int(request.headers.get("content-length") or 0) > at_most:
        raise _too_large(at_most)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                if len(body) + len(chunk) > at_most:
                    raise _too_large(at_most)
                take(len(chunk))
                body += chunk
    except TimeoutError:
        raise ProblemError(
            HTTPStatus.REQUEST_TIMEOUT,
            f"The body did not come within {BODY_SECONDS:g} seconds; nothing was accepted. Send "
            "it again.",
            headers=_CLOSE,
        ) from None
    except ClientDisconnect:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "The body was cut off.") from None
    return bytes(body)


def _too_large(at_most: int) -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"A request like this holds at most {at_most:,} bytes; nothing was accepted. Send less at "
        "once.",
        name="too-large",
        headers=_CLOSE,
    )


async def read_json(request: Request, model: type[M], take: Take) -> M:
    """A body that is one JSON object of this model."""
    if media_type(request) != JSON:
        raise wrong_type(f"The body comes as Content-Type: {JSON}.", JSON)
    body = (await read_body(request, take, JSON_AT_MOST)).removeprefix(BOM)
    try:
        read = model.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(in_words(error)) from None
    twice = said_twice(body)
    if twice is not None:
        raise _invalid(f"{path_in_words((twice,))}is given twice")
    return read


def _invalid(mistake: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"The request has a mistake: {mistake}.",
        name="invalid-request",
    )


def raw_commands(request: Request, body: bytes) -> tuple[list[bytes], bool]:
    """The commands as they came, and whether it is a single one, not in a list."""
    kind = media_type(request)
    body = body.removeprefix(BOM)
    if kind in LINES:
        return _bounded(line[0] for line in _LINE.finditer(body) if line[0].strip()), False
    if kind != JSON:
        raise wrong_type(
            "A command comes as Content-Type: application/json (one, or a list), or "
            "application/x-ndjson (one a line).",
            f"{JSON}, {LINES[0]}",
        )
    if body.lstrip()[:1] != b"[":
        return [body], True
    return _bounded(_items(body)), False


def media_type(request: Request) -> str:
    """What the body says that it is; refused where it is compressed, or not in UTF-8."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise wrong_type("The body is compressed, and is only read as it is.", JSON)
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    if _CHARSET.search(parameters):
        raise wrong_type("The body is JSON, which is in UTF-8: send it so.", JSON)
    return kind.strip()


_CHARSET = re.compile(r"\bcharset\s*=\s*\"?(?!utf-?8\b|us-ascii\b)")


_LINE = re.compile(rb"[^\r\n]+")


def _items(body: bytes) -> Iterator[bytes]:
    try:
        yield from (item.encode() for item in items(body.decode()))
    except (ValueError, RecursionError):
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "The list can't be read as JSON; nothing was accepted. Where one bad command must not "
            "hold up the others, send one a line: application/x-ndjson.",
            name="unreadable",
        ) from None


def _bounded(commands: Iterator[bytes]) -> list[bytes]:
    """All of them, unless there are too many: of those, no more are made than tell that."""
    found = list(islice(commands, BATCH_AT_MOST + 1))
    if not found:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "There is no command in the request. Send at least one.",
            name="unreadable",
        )
    if len(found) > BATCH_AT_MOST:
        raise ProblemError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"A request holds at most {BATCH_AT_MOST:,} commands, and this one has more; nothing "
            "was accepted. Send several.",
            name="too-large",
        )
    return found


def wrong_type(detail: str, right: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, headers={"Accept-Post": right})
