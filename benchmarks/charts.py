"""Charts as SVG, drawn here: bars beside a limit, and lines over sends. Light and dark."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from benchmarks.figure import in_words

_WIDTH = 720
_LEFT, _RIGHT = 196, 110
_TOP = 52
_ROW, _BAR = 30, 14
_PLOT_HEIGHT = 220
_AXIS, _LABELS_WIDE = 56, 160
_LABELS_APART = 15

# Each process keeps its colour whatever else is drawn; engine and peer are told apart by both
# colour and label.
_STYLE = """
  .ground { fill: #ffffff }
  .title { fill: #1b1f24; font-weight: 600; font-size: 15px }
  .name { fill: #1b1f24 } .value { fill: #1b1f24; font-weight: 600 } .quiet { fill: #5b6370 }
  .axis { stroke: #c9ced6; stroke-width: 1 } .grid { stroke: #e8ebef; stroke-width: 1 }
  .engine { fill: #2a6fc9 } .peer { fill: #9aa3af }
  .line { fill: none; stroke-width: 2 }
  .s0 { stroke: #2a6fc9 } .s1 { stroke: #c2571a } .s2 { stroke: #1e7f5c } .s3 { stroke: #8547b8 }
  .t0 { fill: #2a6fc9 } .t1 { fill: #c2571a } .t2 { fill: #1e7f5c } .t3 { fill: #8547b8 }
  text { font-family: system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif;
         font-size: 13px }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #14171b }
    .title, .name, .value { fill: #e8ebef } .quiet { fill: #a3abb7 }
    .axis { stroke: #4a525e } .grid { stroke: #272c33 }
    .engine { fill: #5b9bec } .peer { fill: #7a8390 }
    .s0 { stroke: #5b9bec } .s1 { stroke: #f08a4b } .s2 { stroke: #4fb98e } .s3 { stroke: #b88ae0 }
    .t0 { fill: #5b9bec } .t1 { fill: #f08a4b } .t2 { fill: #4fb98e } .t3 { fill: #b88ae0 }
  }
"""


class Bar(NamedTuple):
    """One row. `peer`: a limit or peer, not the engine."""

    name: str
    value: float
    peer: bool = False


def bars(title: str, unit: str, rows: Sequence[Bar]) -> str:
    """Horizontal bars from nought, each with its value beside it."""
    most = max(row.value for row in rows)
    wide = _WIDTH - _LEFT - _RIGHT
    drawn = []
    for number, row in enumerate(rows):
        y = _TOP + number * _ROW
        width = max(2.0, wide * row.value / most)
        kind = "peer" if row.peer else "engine"
        middle = y + _BAR - 2
        place = f'x="{_LEFT}" y="{y}" width="{width:.1f}"'
        drawn += [
            _text(_LEFT - 12, middle, row.name, "name", "end"),
            f'<rect class="{kind}" {place} height="{_BAR}" rx="3"/>',
            _text(_LEFT + width + 8, middle, f"{in_words(row.value)} {unit}", "value"),
        ]
    height = _TOP + len(rows) * _ROW + 4
    axis = f'<line class="axis" x1="{_LEFT}" y1="{_TOP - 8}" x2="{_LEFT}" y2="{height - 12}"/>'
    return _svg(title, height, [*drawn, axis])


Course = Sequence[tuple[float, float]]


def lines(title: str, over: str, unit: str, courses: Mapping[str, Course]) -> str:
    """A line for each name, from nought upwards, named at its end."""
    last = max(x for course in courses.values() for x, _ in course)
    most = max(y for course in courses.values() for _, y in course) * 1.1
    right, bottom = _WIDTH - _LABELS_WIDE, _TOP + _PLOT_HEIGHT

    def place(x: float, y: float) -> tuple[float, float]:
        return _AXIS + (right - _AXIS) * x / last, bottom - _PLOT_HEIGHT * y / most

    drawn = []
    for step in _steps(most):
        _, y = place(0, step)
        drawn += [_level("grid", y, right), _text(_AXIS - 8, y + 4, in_words(step), "quiet", "end")]
    heights = _apart({name: place(*course[-1])[1] for name, course in courses.items()})
    for number, (name, course) in enumerate(courses.items()):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in course))
        words = f"{name}, {in_words(course[-1][1])} {unit}"
        drawn += [
            f'<polyline class="line s{number % 4}" points="{points}"/>',
            _text(right + 8, heights[name] + 4, words, f"t{number % 4}"),
        ]
    drawn += [
        _level("axis", bottom, right),
        _text(right, bottom + 18, f"{in_words(last)} {over}", "quiet", "end"),
        _text(_AXIS, bottom + 18, "0", "quiet"),
    ]
    return _svg(title, bottom + 30, drawn)


def _steps(most: float) -> list[float]:
    """Round numbers up to the top, five at most."""
    size = 10.0 ** math.floor(math.log10(most))
    step = next(size * part for part in (0.2, 0.5, 1, 2) if most / (size * part) <= 5)
    return [step * number for number in range(1, math.floor(most / step) + 1)]


def _level(kind: str, y: float, right: float) -> str:
    return f'<line class="{kind}" x1="{_AXIS}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'


def _apart(wanted: Mapping[str, float]) -> dict[str, float]:
    """Heights for labels, in order, so that none covers another."""
    placed: dict[str, float] = {}
    free = 0.0
    for name in sorted(wanted, key=lambda name: wanted[name]):
        placed[name] = max(wanted[name], free)
        free = placed[name] + _LABELS_APART
    return placed


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {where}>{escape(words)}</text>'


def _svg(title: str, height: float, drawn: Sequence[str]) -> str:
    inner = "\n".join(drawn)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}"
  role="img" aria-label="{escape(title)}">
<style>{_STYLE}</style>
<rect class="ground" width="{_WIDTH}" height="{height:.0f}" rx="8"/>
{_text(20, 28, title, "title")}
{inner}
</svg>
"""
