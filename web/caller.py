"""Who calls, what they may, and which accounts they reach. Asked before a body is read."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.access import Role
from domain.commands import AccountId
from web.bearer import Caller, UnknownTokenError, recognise
from web.problems import ProblemError
from web.services import Services, services

Site = Annotated[Services, Depends(services)]

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    bearerFormat="layby_<id>_<secret>",
    description="Made with `layby token create` or `POST /v1/tokens`.",
)

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="layby"'}


def unauthorized(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNAUTHORIZED, detail, headers=_CHALLENGE)


def forbidden(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.FORBIDDEN, detail)


def caller(
    site: Site, given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Caller:
    """Who calls; 401 if nobody knows."""
    if given is None:
        raise unauthorized(
            "A token is needed: Authorization: Bearer layby_… Make one: layby token create"
        )
    try:
        return site.transact(lambda connection: recognise(connection, site.key, given.credentials))
    except UnknownTokenError as error:
        raise unauthorized(str(error)) from None


def _at_least(role: Role) -> Callable[[Caller], Caller]:
    def check(calling: Annotated[Caller, Depends(caller)]) -> Caller:
        if not calling.role.covers(role):
            raise forbidden(
                f"This is for the role {role.value}, and your token's is {calling.role.value}. "
                "Ask an admin for a token of that role."
            )
        return calling

    return check


Viewer = Annotated[Caller, Depends(_at_least(Role.VIEWER))]
Operator = Annotated[Caller, Depends(_at_least(Role.OPERATOR))]
Admin = Annotated[Caller, Depends(_at_least(Role.ADMIN))]


def _account_asked_for(
    calling: Viewer,
    account: Annotated[
        AccountId | None,
        Query(description="Only this account. A token of one account has no need of it."),
    ] = None,
) -> str | None:
    """The account that a request is about; None: all, for a token of the installation."""
    if account is None:
        return None if calling.is_installation else calling.account
    if not calling.reaches(account):
        # The same for an account that exists and one that doesn't.
        raise forbidden("This token is for another account. Leave `account` out, or use its own.")
    return account


About = Annotated[str | None, Depends(_account_asked_for)]
