"""`/metrics`, for Prometheus. What is in queues is read from the database when it is asked for."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials
from prometheus_client import Metric as Family
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from config import metric_names as names
from config.metric_names import Metric
from storage import measures
from storage.database import Connection
from storage.measures import Measured
from web.caller import Site, bearer, caller, forbidden
from web.examples import METRICS, metrics_answers
from web.services import Services

router = APIRouter(tags=["health"])

ACCOUNTS_AT_MOST = 200
"""Accounts with series of their own; what the others have is summed under one name."""

OTHERS = "(others)"

_SECONDS_AT_MOST = 10.0

_BY_PROXY = ("forwarded", "x-forwarded-for", "x-real-ip", "via")

Label = tuple[str, ...]
Series = dict[Label, float]


def _may_measure(
    request: Request,
    site: Site,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> None:
    """Nobody is asked who asks on this machine; from elsewhere, a token of the installation."""
    near = not site.public and not any(name in request.headers for name in _BY_PROXY)
    if not near and not caller(site, given).is_installation:
        raise forbidden(
            "Metrics are of all accounts, and need a token of the installation: "
            "layby token create --installation --role viewer"
        )


@router.get(
    "/metrics",
    summary="Measurements, for Prometheus",
    response_class=Response,
    dependencies=[Depends(_may_measure)],
    responses=metrics_answers(METRICS, 401, 403, 422, 503),
)
def metrics(site: Site) -> Response:
    """Gauges of the queues, by account and channel; the same from every process.

    No token is needed on the loopback address, unless a proxy passed the request on.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Measurements(site.transact(_read), site))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _read(connection: Connection) -> Measured:
    measures.measure_lightly(connection, _SECONDS_AT_MOST)
    return Measured(
        measures.queues(connection),
        measures.inbox(connection),
        measures.unknown(connection),
        measures.quarantined(connection),
    )


class _Measurements(Collector):
    """One scrape's."""

    def __init__(self, measured: Measured, site: Services) -> None:
        self._measured = measured
        self._site = site
        self._own = _busiest(measured)

    def collect(self) -> Iterator[Family]:
        queues, waiting = self._measured.queues, self._measured.inbox
        both = ("account", "channel")
        yield self._sum(names.SENDS_DUE, both, (((q.account, q.channel), q.due) for q in queues))
        yield self._sum(
            names.SENDS_NEXT_HOUR, both, (((q.account, q.channel), q.next_hour) for q in queues)
        )
        yield self._sum(
            names.SENDS_STARTED, both, (((q.account, q.channel), q.started) for q in queues)
        )
        yield self._oldest(
            names.OLDEST_DUE, both, (((q.account, q.channel), q.oldest_seconds) for q in queues)
        )
        yield self._sum(
            names.SENDS_UNKNOWN,
            both,
            (((u.account, u.channel), u.number) for u in self._measured.unknown),
        )
        one = ("account",)
        yield self._sum(names.COMMANDS_WAITING, one, (((i.account,), i.waiting) for i in waiting))
        yield self._oldest(
            names.OLDEST_COMMAND, one, (((i.account,), i.oldest_seconds) for i in waiting)
        )
        yield _gauge(names.COMMANDS_QUARANTINED, (), {(): self._measured.quarantined})
        yield _gauge(names.HTTP_WAITERS, (), {(): self._site.waiters.count})
        yield _requests(self._site)

    def _sum(self, metric: Metric, labels: Label, found: Iterable[tuple[Label, int]]) -> Family:
        series: Series = {}
        for label, value in found:
            series[self._named(label)] = series.get(self._named(label), 0) + value
        return _gauge(metric, labels, series)

    def _oldest(
        self, metric: Metric, labels: Label, found: Iterable[tuple[Label, float]]
    ) -> Family:
        series: Series = {}
        for label, value in found:
            series[self._named(label)] = max(series.get(self._named(label), 0.0), value)
        return _gauge(metric, labels, series)

    def _named(self, label: Label) -> Label:
        return label if label[0] in self._own else (OTHERS, *label[1:])


def _busiest(measured: Measured) -> set[str]:
    """The accounts with the most in their queues."""
    load = Counter[str]()
    for queue in measured.queues:
        load[queue.account] += queue.due + queue.next_hour + queue.started
    for inbox in measured.inbox:
        load[inbox.account] += inbox.waiting
    for one in measured.unknown:
        load[one.account] += one.number
    return {account for account, _ in load.most_common(ACCOUNTS_AT_MOST)}


def _gauge(metric: Metric, labels: Label, series: Series) -> Family:
    family = GaugeMetricFamily(metric.name, metric.help, labels=labels)
    for label, value in sorted(series.items()):
        family.add_metric(label, value)
    return family


def _requests(site: Services) -> Family:
    family = CounterMetricFamily(
        names.HTTP_REQUESTS.name, names.HTTP_REQUESTS.help, labels=("method", "route", "status")
    )
    for (method, route, status), count in sorted(site.answered.items()):
        family.add_metric((method, route, str(status)), count)
    return family
