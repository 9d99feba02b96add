"""Figures and what is made of them: ratios, the results file, the table, the page, the charts."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks.__main__ import NAMES
from benchmarks.charts import Bar, bars, lines
from benchmarks.document import documents
from benchmarks.figure import RESULTS, Figure, beside, in_words, write_results

ROOT = Path(__file__).parents[3]


def test_ratio_is_the_median_of_the_rounds_not_of_the_medians() -> None:
    """A slow moment hits both sides of a round."""
    figure = beside([10, 100, 30], [100, 200, 1000], "sends/s", "")
    assert (figure.value, figure.limit, figure.ratio) == (30, 200, 0.1)


def test_new_results_stand_beside_those_measured_before(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(path, {"move": Figure(5.0, "ms", 2.5, 2.0), "tick": Figure(1.0, "µs")})
    write_results(path, {"move": Figure(4.0, "ms", 2.0, 2.0, "≤ 3", {"rounds": [4.04, 12345.6]})})
    results = json.loads(path.read_text("utf-8"))
    assert set(results) == {"move", "tick"}
    assert results["move"] == {
        "value": 4.0,
        "unit": "ms",
        "limit": 2.0,
        "ratio": 2.0,
        "goal": "≤ 3",
        "rounds": [4.04, 12346.0],
    }


@pytest.mark.parametrize(
    ("number", "words"),
    [(1234567.8, "1,234,568"), (0.12345, "0.123"), (12.0, "12"), (999.6, "1,000")],
)
def test_number_in_words_has_the_digits_that_mean_something(number: float, words: str) -> None:
    assert in_words(number) == words


def test_results_are_of_figures_that_there_are() -> None:
    results = json.loads(RESULTS.read_text("utf-8"))
    assert set(results) == {"machine", *NAMES}
    for name, figure in results.items():
        assert {"value", "unit", "limit", "ratio", "goal"} <= figure.keys(), name


def test_page_tells_what_each_figure_is() -> None:
    page = (ROOT / "docs/benchmarks.md").read_text("utf-8")
    told = page[page.index("## What each figure is") :]
    assert [name for name in NAMES if f"`{name}`" not in told] == []


def test_page_shows_every_chart_that_is_drawn() -> None:
    made = documents()
    (page,) = (text for path, text in made.items() if path.suffix == ".md")
    shown = re.findall(r"\]\(benchmarks/([\w.]+)\)", page)
    assert sorted(shown) == sorted(path.name for path in made if path.suffix == ".svg")


def test_page_has_a_row_for_each_result() -> None:
    machine: dict[str, Any] = {
        "value": 2.0,
        "measured_at": "2026-11-24",
        "system": "Linux x86_64",
        "postgresql": "15.18",
        "python": "3.11.7",
        "fsync": "on",
    }
    tick = {"value": 1500.0, "unit": "µs", "limit": 1400.0, "ratio": 1.07, "goal": "the same"}
    made = documents({"machine": machine, "tick": tick})
    (page,) = made.values()
    assert "| `tick` | 1,500 µs | 1,400 | 1.07 | the same |" in page
    assert "2 cores, Linux x86_64, PostgreSQL 15.18" in page


def test_bars_are_as_long_as_their_values() -> None:
    chart = ET.fromstring(bars("A & B", "ms", [Bar("one", 50), Bar("<two>", 100, peer=True)]))
    one, two = chart.findall(".//{*}rect[@rx='3']")
    assert float(two.get("width", "")) == pytest.approx(2 * float(one.get("width", "")), rel=0.01)
    words = [text.text for text in chart.findall(".//{*}text")]
    assert words == ["A & B", "one", "50 ms", "<two>", "100 ms"]


def test_labels_of_lines_that_end_together_do_not_cover_each_other() -> None:
    courses = {name: [(0.0, 80.0), (1000.0, 90.0)] for name in ("intake", "lifecycle", "delivery")}
    chart = ET.fromstring(lines("Memory", "sends", "MB", courses))
    labels = [text for text in chart.findall(".//{*}text") if "MB" in (text.text or "")]
    heights = sorted(float(label.get("y", "")) for label in labels)
    assert len(heights) == 3
    assert min(b - a for a, b in pairwise(heights)) >= 14
