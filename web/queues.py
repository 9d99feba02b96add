"""What waits, and the tick that an outside scheduler triggers."""

from typing import Annotated

from fastapi import APIRouter, Query

from scheduler.ticks import ring, sweep
from storage import reports
from web.answers import Queue, Queues, Ticked
from web.caller import About, Operator, Site
from web.examples import QUEUES, answers
from web.problems import unavailable

router = APIRouter(tags=["queues"])


@router.get(
    "/v1/queues",
    summary="What waits",
    responses=answers({200: ("Each queue with anything in it.", QUEUES)}, *(401, 403, 422, 503)),
)
def show_queues(
    site: Site,
    account: About,
    exact: Annotated[  # noqa: FBT002 - a parameter of the query
        bool, Query(description="Count `later` to the end, however much that is.")
    ] = False,
) -> Queues:
    """Sends due, later and started, and commands not applied yet."""
    most = None if exact else reports.LATER_AT_MOST
    rows = site.transact(lambda connection: reports.queues(connection, account, most))
    return Queues(queues=[Queue(**row) for row in rows])


@router.post(
    "/v1/tick",
    summary="Trigger what is due",
    responses=answers(
        {200: ("What the tick did.", {"rung": 2, "rescued": 0, "quiet": 1})}, *(401, 403, 422, 503)
    ),
)
def tick(site: Site, calling: Operator) -> Ticked:
    """For cron, Airflow or Kubernetes, beside or instead of `layby scheduler`.

    A token of one account ticks for that account. It waits for nothing: a send that a worker left
    behind is rescued by a later tick of the same process, once its deadline has passed.
    """
    only = None if calling.is_installation else calling.account
    rung = ring(site.engine, site.bell, only)
    with site.watch_held:
        rescued = site.watch.rescue(site.engine, only)
    quiet = sweep(site.engine, only)
    if rung.problem is not None:
        raise unavailable(rung.problem)
    return Ticked(rung=rung.made, rescued=rescued, quiet=quiet)
