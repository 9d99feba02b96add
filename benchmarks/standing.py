"""`tick` and `move` beside a million pending sends: they stand there, and must cost nothing.

A hundred thousand customers with ten pending sends each; and, to compare, ten of them, and ten
thousand.
"""

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from statistics import median, quantiles

import psycopg

from benchmarks import tick
from benchmarks.figure import Figure, beside
from benchmarks.fill import enrol, make_due
from benchmarks.ground import Ground, running, url_of
from benchmarks.move import SENDS_EACH, Pairs, customers_of, measure_pairs, together
from benchmarks.pipeline import ACCOUNTS, delivering, settled_between, steadily, the_time
from benchmarks.sizes import Size
from ops.installation import Installation

_MOVES = ("move", "move_quiet", "move_load", "move_quiet_load", "move_million")
FIGURES = ("tick", *_MOVES)
_MS = "ms"


def measure(ground: Ground, size: Size, wanted: Collection[str]) -> dict[str, Figure]:
    """The wanted ones; all the moves if any of them."""
    figures: dict[str, Figure] = {}
    with ExitStack() as stack:
        million = _standing(ground, stack, "million", size.standing_customers // len(ACCOUNTS))
        if "tick" in wanted:
            ten = stack.enter_context(ground.installation("ten"))
            enrol(ten, ["energy-1"], 1, due_in="30 days", enrolments=SENDS_EACH)
            figures["tick"] = tick.measure(ten, million, size.ticks)
        if set(_MOVES) & set(wanted):
            thousand = _standing(ground, stack, "ten_thousand", 1000 // len(ACCOUNTS))
            figures |= _moves(ground, size, thousand, million)
    return figures


def _standing(ground: Ground, stack: ExitStack, name: str, customers: int) -> Installation:
    installation = stack.enter_context(ground.installation(name))
    enrol(installation, ACCOUNTS, customers, due_in="30 days", enrolments=SENDS_EACH)
    return installation


def _moves(ground: Ground, size: Size, few: Installation, many: Installation) -> dict[str, Figure]:
    """Idle by turns among few and many, then under load."""
    of_few, of_many = customers_of(ACCOUNTS), customers_of(ACCOUNTS)
    rounds: dict[str, list[Pairs]] = {"few": [], "many": []}
    for _ in range(size.rounds):
        pairs = size.pairs // size.rounds
        rounds["few"].append(_idle(ground, few, of_few, pairs))
        rounds["many"].append(_idle(ground, many, of_many, pairs))
    idle = together(rounds["many"])
    load, sends_a_second = _loaded(ground, many, of_many, size.pairs)
    under = {"sends_per_second": sends_a_second}
    among_many, among_few = (
        [median(pairs.committed) for pairs in rounds[name]] for name in ("many", "few")
    )
    return {
        "move": _p50(idle.committed, idle.hand, "p50 ≤ 3 times by hand"),
        "move_quiet": _p50(idle.quiet, idle.hand, "p50 ≤ 3 times by hand"),
        "move_load": _p95(load.committed, load.hand, "p95 ≤ 2 times by hand", under),
        "move_quiet_load": _p95(load.quiet, load.hand, "p95 ≤ 2 times by hand", under),
        "move_million": beside(
            among_many, among_few, f"{_MS} p50", "p50 ≤ 1.5 times that among 10,000"
        ),
    }


def _idle(
    ground: Ground, installation: Installation, customers: Iterator[tuple[str, str]], pairs: int
) -> Pairs:
    ground.settle_down()
    with running(installation, "intake", "lifecycle", "scheduler", "delivery"):
        return measure_pairs(installation, customers, pairs)


def _loaded(
    ground: Ground, installation: Installation, customers: Iterator[tuple[str, str]], pairs: int
) -> tuple[Pairs, float]:
    """While every customer's first schedule is being delivered as fast as it goes."""
    make_due(installation)
    ground.settle_down()
    with psycopg.connect(url_of(installation), autocommit=True) as connection:
        with (
            running(installation, "intake", "lifecycle"),
            delivering(installation, 200),
        ):
            steadily(connection)
            began = the_time(connection)
            measured = measure_pairs(installation, customers, pairs)
            ended = the_time(connection)
        return measured, settled_between(connection, began, ended) / (ended - began)


def _p50(values: list[float], limits: list[float], goal: str) -> Figure:
    value, limit = median(values), median(limits)
    more = {"p95": _percentile(values, 95), "limit_p95": _percentile(limits, 95)}
    return Figure(value, f"{_MS} p50", limit, value / limit, goal, more)


def _p95(values: list[float], limits: list[float], goal: str, more: dict[str, float]) -> Figure:
    value, limit = _percentile(values, 95), _percentile(limits, 95)
    more = {"p50": median(values), "limit_p50": median(limits), **more}
    return Figure(value, f"{_MS} p95", limit, value / limit, goal, more)


def _percentile(values: list[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]
