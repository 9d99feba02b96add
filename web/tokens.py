"""Tokens, managed by admins: of their own account, or, with one of the installation, of any."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

import structlog
from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from domain.access import INSTALLATION, LONGEST_LIFE, USUAL_LIFE, Role
from domain.commands import AccountId
from storage import tokens
from storage.tokens import Token
from web.answers import NewToken, TokenLine, Tokens
from web.bearer import Caller, make_token
from web.body import read_json
from web.caller import Admin, Site, forbidden
from web.examples import NEW_TOKEN, TOKEN, TOKEN_BODY, answers
from web.problems import ProblemError
from web.services import Services

log = structlog.get_logger()
router = APIRouter(tags=["tokens"])


LABEL = StringConstraints(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")
"""One line."""


class TokenWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Role
    account: AccountId | None = Field(
        default=None, description="Left out: the account of the token that asks."
    )
    label: Annotated[str, LABEL] = Field(default="", description="What it is for.")
    days: int = Field(
        default=USUAL_LIFE.days, ge=1, le=LONGEST_LIFE.days, description="How long it lives."
    )


@router.post(
    "/v1/tokens",
    status_code=HTTPStatus.CREATED,
    summary="Make a token",
    openapi_extra={"requestBody": TOKEN_BODY},
    responses=answers(
        {201: ("The token; its secret is shown now only.", NEW_TOKEN)},
        *(400, 401, 403, 408, 413, 415, 422, 503),
    ),
)
async def make(request: Request, site: Site, calling: Admin) -> NewToken:
    """Its secret is in this answer and nowhere else: keep it, or make another one."""
    with site.room.share(calling.account) as take:
        wanted = await read_json(request, TokenWanted, take)
    return await run_in_threadpool(_make, site, calling, wanted)


def _make(site: Services, calling: Caller, wanted: TokenWanted) -> NewToken:
    account = calling.account if wanted.account is None else wanted.account
    if not calling.reaches(account):
        raise forbidden("This token makes tokens of its own account only. Leave `account` out.")
    kept, secret = site.transact(
        lambda connection: make_token(
            connection,
            site.key,
            account=account,
            role=wanted.role,
            label=wanted.label,
            made_by=f"token {calling.token}",
            life=timedelta(days=wanted.days),
        )
    )
    log.info("token_made", token=kept.token, account=account, role=kept.role, by=calling.token)
    return NewToken.model_validate({**_shown(kept), "secret": secret})


@router.get(
    "/v1/tokens",
    summary="List tokens",
    responses=answers(
        {200: ("Tokens, also those that have ended.", {"tokens": [TOKEN]})}, *(401, 403, 422, 503)
    ),
)
def list_(site: Site, calling: Admin) -> Tokens:
    """Without secrets, which are kept nowhere."""
    rows = site.transact(lambda connection: tokens.list_tokens(connection, _own(calling)))
    return Tokens(tokens=[TokenLine.model_validate(_shown(row)) for row in rows])


@router.delete(
    "/v1/tokens/{token}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Revoke a token",
    responses={
        204: {"description": "It is good for nothing any more."},
        **answers({}, *(401, 403, 404, 422, 503)),
    },
)
def revoke(
    site: Site,
    calling: Admin,
    token: Annotated[str, Path(pattern="^[a-z0-9]{1,64}$", description="Its public id.")],
) -> Response:
    """At once: the next request that brings it is refused."""
    if not site.transact(lambda connection: tokens.revoke_token(connection, _own(calling), token)):
        raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such token. See: GET /v1/tokens")
    log.info("token_revoked", token=token, by=calling.token)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _own(calling: Caller) -> str | None:
    return None if calling.is_installation else calling.account


def _shown(kept: Token) -> dict[str, object]:
    account = None if kept.account == INSTALLATION else kept.account
    return {**kept._asdict(), "account": account}
