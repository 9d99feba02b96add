"""Commands in, and what became of them; with `wait`, once it has."""

from collections.abc import Collection
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from storage import outcomes
from storage.database import DatabaseError
from storage.outcomes import Name, Outcome
from web.accepting import Item, accept, as_json
from web.bearer import Caller
from web.body import raw_commands, read_body
from web.caller import About, Operator, Site
from web.examples import COMMAND_BODY, ITEMS, OUTCOME, answers
from web.names import CommandName
from web.problems import MEDIA_TYPE, ProblemError
from web.services import Services
from web.waiting import Ended, Found, Until

router = APIRouter(tags=["commands"])

WAIT_AT_MOST_SECONDS = 120.0

WAITED = "Layby-Wait"
"""The header that says how a wait ended."""

Wait = Annotated[
    Until | None,
    Query(description="Answer once it is `done`, or `quiet`; else at once, or at the timeout."),
]
Timeout = Annotated[
    float, Query(ge=0, le=WAIT_AT_MOST_SECONDS, description="Seconds to wait at most.")
]


_SENT = answers(
    {
        202: ("Accepted, with the outcome so far; for a batch, of each.", OUTCOME),
        207: ("Some of a batch were accepted, some were not: see each.", ITEMS),
    },
    *(400, 401, 403, 408, 409, 413, 415, 422, 503),
)
_SENT[202]["model"] = Outcome | list[Item]
_SENT[207]["model"] = list[Item]


@router.post(
    "/v1/commands",
    status_code=HTTPStatus.ACCEPTED,
    summary="Send commands",
    openapi_extra={"requestBody": COMMAND_BODY},
    responses=_SENT,
)
async def send(
    request: Request,
    site: Site,
    calling: Operator,
    wait: Wait = None,
    timeout: Timeout = 30.0,  # noqa: ASYNC109 - how long the client wants an answer waited for
) -> Response:
    """One command, a list, or one a line. Whatever could be read is accepted: ours from here on.

    The same id again is the same command. A batch answers with a list in its own order, 207 where
    only some were accepted; a problem with `items` where none was.
    """
    items, single = await _take_in(request, site, calling)
    headers = {}
    names = {one.name for one in items if one.name is not None}
    if wait and names:
        ended, found = await _wait(request, site, names, wait, timeout)
        headers[WAITED] = ended.value
        items = [_latest(one, found) for one in items]
    return _single(items[0], headers) if single else _batch(items, headers)


async def _take_in(request: Request, site: Services, calling: Caller) -> tuple[list[Item], bool]:
    """By itself, so that what came is not held while its outcome is waited for."""
    with site.room.share(calling.account) as take:
        body = await read_body(request, take)
        return await run_in_threadpool(_accept, request, site, calling, body)


def _accept(
    request: Request, site: Services, calling: Caller, body: bytes
) -> tuple[list[Item], bool]:
    raws, single = raw_commands(request, body)
    return accept(site, calling, raws), single


def _single(item: Item, headers: dict[str, str]) -> Response:
    if item.problem is not None:
        return JSONResponse(item.problem.model_dump(), item.status, headers, MEDIA_TYPE)
    assert item.outcome is not None
    return JSONResponse(item.outcome.model_dump(mode="json"), HTTPStatus.ACCEPTED, headers)


def _batch(items: list[Item], headers: dict[str, str]) -> Response:
    statuses = {one.status for one in items}
    content = [as_json(one) for one in items]
    if HTTPStatus.ACCEPTED in statuses:
        status = HTTPStatus.ACCEPTED if len(statuses) == 1 else HTTPStatus.MULTI_STATUS
        return JSONResponse(content, status, headers)
    status = HTTPStatus(statuses.pop() if len(statuses) == 1 else HTTPStatus.UNPROCESSABLE_ENTITY)
    return ProblemError(
        status, "None of the commands was accepted; `items` says why, in order.", items=content
    ).response()


def _latest(item: Item, found: Found) -> Item:
    if item.name in found:
        return item.model_copy(update={"outcome": found[item.name]})
    return item


@router.get(
    "/v1/commands/{command}",
    summary="One command's outcome so far",
    response_model=Outcome,
    responses=answers({200: ("The outcome so far.", OUTCOME)}, 401, 403, 404, 409, 422, 503),
)
async def show(
    request: Request,
    site: Site,
    command: CommandName,
    account: About,
    wait: Wait = None,
    timeout: Timeout = 30.0,  # noqa: ASYNC109 - how long the client wants an answer waited for
) -> Response:
    """Waits like `POST /v1/commands`, for those who lost its answer."""
    outcome = await run_in_threadpool(_find, site, command, account)
    headers = {}
    if wait:
        name = (outcome.account, outcome.id)
        ended, found = await _wait(request, site, {name}, wait, timeout)
        headers[WAITED] = ended.value
        outcome = found.get(name, outcome)
    return JSONResponse(outcome.model_dump(mode="json"), headers=headers)


def _find(site: Services, command: str, account: str | None) -> Outcome:
    found = site.transact(lambda connection: outcomes.find_outcomes(connection, command, account))
    if not found:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            "There is no such command. If you sent it and had no answer, send it again with the "
            "same id.",
        )
    if len(found) > 1:
        raise ProblemError(
            HTTPStatus.CONFLICT, "Several accounts have a command of this id: give `account`."
        )
    return found[0]


async def _wait(
    request: Request, site: Services, names: Collection[Name], until: Until, seconds: float
) -> tuple[Ended, Found]:
    """The outcomes once reached, else as they are; none where the database is away by then."""
    ended, found = await site.waiters.wait(names, until, seconds, _gone(request))
    if found is None and ended is not Ended.GONE:
        found = await run_in_threadpool(_outcomes_now, site, names)
    return ended, found or {}


def _outcomes_now(site: Services, names: Collection[Name]) -> Found:
    try:
        return site.transact(lambda connection: outcomes.read_outcomes(connection, names))
    except DatabaseError:
        return {}  # what is accepted is accepted: the outcome known before is answered


async def _gone(request: Request) -> None:
    """Until the client has closed the connection; the body has been read before."""
    message: Any = None
    while message is None or message["type"] != "http.disconnect":
        message = await request.receive()
