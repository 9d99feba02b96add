"""Customers: where they are, what comes, and what happened. Ids only, no personal data."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from domain.journey import Place, Status
from storage import reports, suppressions
from storage.database import Connection
from storage.reports import Rows
from web.answers import (
    Coming,
    CustomerDetail,
    CustomerLine,
    CustomerPage,
    Event,
    Suppressed,
    Timeline,
)
from web.caller import About, Site
from web.cursors import big_number, cursor_of, read_cursor
from web.examples import CUSTOMERS, DETAIL, TIMELINE, answers
from web.names import CustomerName
from web.problems import ProblemError

router = APIRouter(tags=["customers"])

PAGE_AT_MOST = 1_000


@router.get(
    "/v1/customers",
    summary="List customers",
    responses=answers(
        {200: ("A page of customers, by account and id.", CUSTOMERS)}, *(401, 403, 422, 503)
    ),
)
def list_customers(
    site: Site,
    account: About,
    place: Annotated[Place | None, Query(description="Only in this place.")] = None,
    status: Annotated[Status | None, Query(description="Only active ones of this status.")] = None,
    cursor: Annotated[
        str | None, Query(max_length=1_000, description="`next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_AT_MOST)] = 100,
) -> CustomerPage:
    """Each page goes on after the last customer of the one before.

    So none is missed or told twice, whatever is added or moved meanwhile.
    """
    after = tuple(read_cursor(cursor, str, str)) if cursor else None
    rows = site.transact(
        lambda connection: reports.customers(
            connection,
            account,
            place.value if place else None,
            limit + 1,
            status=status.value if status else None,
            after=after,
        )
    )
    page = [CustomerLine(**row) for row in rows[:limit]]
    more = len(rows) > limit
    return CustomerPage(
        customers=page, next=cursor_of(page[-1].account, page[-1].customer) if more else None
    )


@router.get(
    "/v1/customers/{customer}",
    summary="One customer",
    responses=answers(
        {200: ("Where the customer is, and what comes.", DETAIL)}, *(401, 403, 404, 409, 422, 503)
    ),
)
def show_customer(site: Site, account: About, customer: CustomerName) -> CustomerDetail:
    """Where the customer is, why it is not written to, its schedules and the next send of each."""

    def read(connection: Connection) -> tuple[Rows, Rows, Rows]:
        found = reports.customer(connection, customer, account)
        one = the_one(found)
        against = suppressions.of_customer(connection, one, customer)
        return found, against, reports.coming(connection, one, customer)

    (who,), against, coming = site.transact(read)
    return CustomerDetail(
        **who,
        suppressions=[Suppressed(**row) for row in against],
        coming=[Coming(**row) for row in coming],
    )


@router.get(
    "/v1/customers/{customer}/timeline",
    summary="All that happened to a customer",
    responses=answers({200: ("The customer's story.", TIMELINE)}, *(401, 403, 404, 409, 422, 503)),
)
def show_timeline(
    site: Site,
    account: About,
    customer: CustomerName,
    before: Annotated[
        str | None, Query(max_length=1_000, description="`before` of the page that came later.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_AT_MOST)] = 100,
) -> Timeline:
    """Commands, messages, and decisions not to send with their rule; the oldest first.

    The latest so many, or those before them: what is added meanwhile shifts nothing.
    """
    end = (
        reports.At(*read_cursor(before, datetime.fromisoformat, big_number, str))
        if before
        else None
    )

    def read(connection: Connection) -> tuple[str, Rows]:
        one = the_one(reports.customer(connection, customer, account))
        return one, reports.timeline(connection, one, customer, before=end, limit=limit + 1)

    one, rows = site.transact(read)
    page = rows[-limit:]
    return Timeline(
        account=one,
        customer=customer,
        events=[Event(**row) for row in page],
        before=cursor_of(*reports.place_of(page[0])) if len(rows) > limit else None,
    )


def the_one(found: Rows) -> str:
    """The account of the one customer found."""
    if not found:
        raise ProblemError(
            HTTPStatus.NOT_FOUND, "There is no such customer. See: GET /v1/customers"
        )
    if len(found) > 1:
        raise ProblemError(
            HTTPStatus.CONFLICT, "Several accounts have a customer of this id: give `account`."
        )
    return str(found[0]["account"])
