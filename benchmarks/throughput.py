"""`limit`, `pipeline` at three start sizes and with every rule on, `plain_worker`: by turns."""

from collections.abc import Collection
from contextlib import ExitStack
from statistics import median
from typing import Protocol

from benchmarks.figure import Figure, beside
from benchmarks.ground import Ground, url_of
from benchmarks.limit import Limit
from benchmarks.pipeline import Pipeline, fill
from benchmarks.plain_worker import PlainWorker
from benchmarks.rules import every_rule
from benchmarks.sizes import Size

FIGURES = ("limit", "pipeline", "pipeline_50", "pipeline_1000", "pipeline_rules", "plain_worker")
_START_SIZES = {"pipeline_50": 50, "pipeline": 200, "pipeline_1000": 1000}
_GOALS = {
    "pipeline": "≥ 0.35; ≥ 20 times plain_worker",
    "pipeline_1000": "≥ 0.5",
    "pipeline_rules": "≥ 0.35",
}
_UNIT = "sends/s"


class Contender(Protocol):
    def rate(self, seconds: float) -> float:
        """Sends settled a second."""


def measure(ground: Ground, size: Size, wanted: Collection[str]) -> dict[str, Figure]:
    """The wanted ones, and always the limit."""
    rates = _rates(ground, size, wanted)
    limits = rates["limit"]
    figures = {"limit": Figure(median(limits), _UNIT, more={"rounds": limits})}
    for name, measured in rates.items():
        if name != "limit":
            goal = _GOALS.get(name, "")
            figures[name] = beside(measured, limits, _UNIT, goal, rounds=measured)
    if "pipeline" in rates and "plain_worker" in rates:
        pairs = zip(rates["pipeline"], rates["plain_worker"], strict=True)
        times = median(fast / plain for fast, plain in pairs)
        more = {**figures["pipeline"].more, "times_plain_worker": times}
        figures["pipeline"] = figures["pipeline"]._replace(more=more)
    return figures


def _rates(ground: Ground, size: Size, wanted: Collection[str]) -> dict[str, list[float]]:
    with ExitStack() as stack:
        installation = stack.enter_context(ground.installation("throughput"))
        contenders: dict[str, Contender] = {
            "limit": Limit(url_of(installation), size.raw_rows),
            **{
                name: Pipeline(installation, start_size)
                for name, start_size in _START_SIZES.items()
                if name in wanted
            },
        }
        if len(contenders) > 1:
            fill(installation, size.customers)
        if "pipeline_rules" in wanted:
            ruled = stack.enter_context(ground.installation("rules"))
            fill(ruled, size.customers, every_rule())
            contenders["pipeline_rules"] = Pipeline(ruled, _START_SIZES["pipeline"])
        if "plain_worker" in wanted:
            contenders["plain_worker"] = PlainWorker(installation, size.plain_sends)
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(size.rounds):
            for name, contender in contenders.items():
                ground.settle_down()
                rates[name].append(contender.rate(size.window_seconds))
        return rates
