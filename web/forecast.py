"""What would go out, page by page: some customers' coming sends at a time."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query

from domain.commands import Id
from domain.forecast import ASSUMES
from domain.schedule import ScheduleName
from storage.accounts import read_account
from storage.database import Connection
from storage.reports import customer as read_customer
from web.answers import ComingSend, Forecast
from web.caller import About, Site
from web.cursors import cursor_of, read_cursor
from web.customers import the_one
from web.examples import FORECAST, answers
from web.problems import ProblemError
from workers.forecasting import Page, Wanted, forecast_page

router = APIRouter(tags=["forecast"])

CUSTOMERS_AT_MOST = 1_000


@router.get(
    "/v1/forecast",
    summary="What would go out",
    responses=answers(
        {200: ("Some customers' coming sends.", FORECAST)}, *(401, 403, 404, 409, 422, 503)
    ),
)
def show_forecast(
    site: Site,
    account: About,
    customer: Annotated[Id | None, Query(description="Only this customer.")] = None,
    schedule: Annotated[ScheduleName | None, Query(description="Only this schedule.")] = None,
    days: Annotated[int, Query(ge=1, le=366, description="How far to look ahead.")] = 30,
    cursor: Annotated[
        str | None, Query(max_length=1_000, description="`next` of the page before.")
    ] = None,
    limit: Annotated[
        int, Query(ge=1, le=CUSTOMERS_AT_MOST, description="Customers on a page.")
    ] = 100,
) -> Forecast:
    """When, by which channel and text, and what would block it: by the gate that will decide.

    It assumes that nothing else happens: payments and replies are not foreseen. Customer by
    customer, each one's sends in their order.
    """
    after = str(read_cursor(cursor, str)[0]) if cursor else ""
    asked = site.transact(
        lambda connection: _look(connection, account, customer, schedule, days, after, limit)
    )
    page = asked.page
    return Forecast(
        account=asked.account,
        now=asked.now,
        until=asked.until,
        assumes=ASSUMES,
        sends=[ComingSend(**one.as_row()) for one in page.ahead],
        next=cursor_of(page.last) if page.last is not None else None,
    )


class _Asked(NamedTuple):
    account: str
    now: datetime
    until: datetime
    page: Page


def _look(
    connection: Connection,
    about: str | None,
    customer: str | None,
    schedule: str | None,
    days: int,
    after: str,
    limit: int,
) -> _Asked:
    named = about if customer is None else the_one(read_customer(connection, customer, about))
    account = read_account(connection, named) if named is not None else None
    if account is None:
        raise _which(named)
    until = account.now + timedelta(days=days)
    wanted = Wanted(until, customer, schedule)
    page = forecast_page(connection, account, wanted, after=after, limit=limit)
    return _Asked(account.account, account.now, until, page)


def _which(named: str | None) -> ProblemError:
    if named is None:
        return ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "account: is missing. This token is for all accounts: give the one to look ahead for.",
            name="invalid-request",
        )
    return ProblemError(HTTPStatus.NOT_FOUND, f"There is no account {named} yet.")
