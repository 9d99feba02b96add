"""A figure, as it stands in results.json and in the table."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich.table import Table

RESULTS = Path(__file__).parent / "results.json"


class Figure(NamedTuple):
    """A value beside its limit or peer, measured in the same run."""

    value: float
    unit: str
    limit: float | None = None
    ratio: float | None = None
    """Value to limit: the median over the rounds or pairs, not of the medians."""
    goal: str = ""
    """What is to be shown, in words."""
    more: Mapping[str, Any] = {}
    """What else was measured with it."""

    def as_json(self) -> dict[str, Any]:
        shown = {
            "value": rounded(self.value),
            "unit": self.unit,
            "limit": None if self.limit is None else rounded(self.limit),
            "ratio": None if self.ratio is None else rounded(self.ratio),
            "goal": self.goal,
        }
        return shown | {name: _rounded(value) for name, value in self.more.items()}


def beside(
    values: Sequence[float], limits: Sequence[float], unit: str, goal: str, **more: Any
) -> Figure:
    """A figure from rounds that each measured both."""
    ratios = [value / limit for value, limit in zip(values, limits, strict=True)]
    return Figure(median(values), unit, median(limits), median(ratios), goal, more)


def rounded(value: float) -> float:
    """Three digits that mean something."""
    return float(f"{value:.3g}") if abs(value) < 1000 else float(round(value))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return value


def read_results(path: Path = RESULTS) -> dict[str, Any]:
    results: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return results


def write_results(path: Path, figures: Mapping[str, Figure]) -> None:
    """Put new figures among those that are there already."""
    results = read_results(path) | {name: figure.as_json() for name, figure in figures.items()}
    shown = ",\n".join(f"  {_json(name)}: {_lines(results[name])}" for name in sorted(results))
    path.write_text(f"{{\n{shown}\n}}\n", "utf-8")


def _lines(figure: Mapping[str, Any]) -> str:
    """A line for each key, whatever it holds."""
    lines = ",\n".join(f"    {_json(name)}: {_json(value)}" for name, value in figure.items())
    return f"{{\n{lines}\n  }}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def table(figures: Mapping[str, Figure]) -> Table:
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("", "value", "unit", "limit or peer", "ratio", "to show"):
        shown.add_column(column, justify="right" if column in _NUMBERS else "left")
    for name, figure in figures.items():
        shown.add_row(*row(name, figure.as_json()))
    return shown


def row(name: str, figure: Mapping[str, Any]) -> list[str]:
    """A figure's cells, for a terminal and for a page."""
    numbers = (figure["value"], figure["limit"], figure["ratio"])
    value, limit, ratio = ("" if number is None else in_words(number) for number in numbers)
    if "times_plain_worker" in figure:
        ratio += f"; {in_words(figure['times_plain_worker'])} times plain_worker"
    return [name, value, figure["unit"], limit, ratio, figure["goal"]]


_NUMBERS = ("value", "limit or peer", "ratio")


def in_words(number: float) -> str:
    """1234567.8 as 1,234,568; 0.12345 as 0.123."""
    number = rounded(number)
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:g}"
