"""Whether this process lives, and whether it can work. For load balancers: no token needed."""

import structlog
from fastapi import APIRouter

from storage.database import DatabaseUnreachableError, check_reachable
from storage.schema import SchemaError, check_schema
from web.answers import Healthy, Ready
from web.caller import Site
from web.examples import answers
from web.problems import unavailable
from workers.broker import BrokerUnreachableError, check_redis

log = structlog.get_logger()
router = APIRouter(tags=["health"])


@router.get(
    "/healthz",
    summary="Does this process live?",
    responses=answers({200: ("It does.", {"status": "ok"})}, 422),
)
async def healthz() -> Healthy:
    """Asks nobody else, so it tells nothing of the database: restart what does not answer here."""
    return Healthy()


@router.get(
    "/readyz",
    summary="Can this process work?",
    responses=answers(
        {200: ("It can.", {"database": "ok", "schema": "ok", "redis": "ok"})}, 422, 503
    ),
)
def readyz(site: Site) -> Ready:
    """Database, schema and Redis: send nothing here while one is missing, and restart nothing."""
    try:
        check_reachable(site.engine)
        site.transact(check_schema)
        check_redis(site.redis_url)
    except (DatabaseUnreachableError, SchemaError, BrokerUnreachableError) as error:
        # The message names hosts: it is for the log.
        log.warning("not_ready", reason=str(error))
        raise unavailable(_NOT_READY[type(error)], name="not-ready") from None
    return Ready()


_NOT_READY: dict[type[Exception], str] = {
    DatabaseUnreachableError: "PostgreSQL does not answer; the log says what was tried.",
    SchemaError: "The database is not at this version's revision. Run: layby migrate",
    BrokerUnreachableError: "Redis does not answer; the log says what was tried.",
}
