"""docs/benchmarks.md and its charts from results.json: written, or with --check only compared."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.charts import Bar, bars, lines
from benchmarks.figure import in_words, read_results, row
from ops.documents import FOLDER, write_or_tell

_PAGE = FOLDER / "benchmarks.md"
_CHARTS = FOLDER / "benchmarks"
_BLOCK = re.compile(r"(<!-- results: .*? -->\n).*?(<!-- end of results -->)", re.DOTALL)
Results = Mapping[str, Mapping[str, Any]]


def documents(results: Results | None = None) -> dict[Path, str]:
    """The page with its results, and a chart for each of their families that there are."""
    found = read_results() if results is None else results
    page = _PAGE.read_text("utf-8")
    made = {_PAGE: _BLOCK.sub(lambda block: block[1] + _results(found) + block[2], page)}
    charts = {
        "throughput.svg": _throughput(found),
        "moves.svg": _moves(found),
        "peers.svg": _peers(found),
        "memory.svg": _memory(found),
    }
    return made | {_CHARTS / name: chart for name, chart in charts.items() if chart is not None}


def _results(results: Results) -> str:
    """A sentence on the machine, and the table."""
    machine = results["machine"]
    said = (
        f"Measured on {machine['measured_at']}: {in_words(machine['value'])} cores, "
        f"{machine['system']}, PostgreSQL {machine['postgresql']}, Python {machine['python']}, "
        f"fsync {machine['fsync']}."
    )
    rows = [_row(name, results[name]) for name in _ORDER if name in results]
    head = "| figure | value | limit or peer | ratio | to show |\n|---|---:|---:|---:|---|"
    return "\n".join(["", said, "", head, *rows, "", ""])


_ORDER = (
    *("limit", "pipeline", "pipeline_50", "pipeline_1000", "pipeline_rules", "plain_worker"),
    *("move", "move_quiet", "move_load", "move_quiet_load", "move_million"),
    *("bulk_move", "tick", "plans", "forecast", "smtp", "memory", "up"),
)


def _row(name: str, figure: Mapping[str, Any]) -> str:
    _, value, unit, limit, ratio, goal = row(name, figure)
    return f"| `{name}` | {value} {unit} | {limit} | {ratio} | {goal} |"


def _throughput(results: Results) -> str | None:
    names = {
        "limit": "raw SQL: the limit",
        "pipeline_1000": "Layby, starts of 1,000",
        "pipeline": "Layby, starts of 200",
        "pipeline_50": "Layby, starts of 50",
        "plain_worker": "dramatiq, one a send",
    }
    rows = [
        Bar(said, results[name]["value"], name in ("limit", "plain_worker"))
        for name, said in names.items()
        if name in results
    ]
    return bars("Sends from due to settled, a second", "", rows) if rows else None


def _moves(results: Results) -> str | None:
    names = {
        "move": "committed, idle, p50",
        "move_quiet": "quiet, idle, p50",
        "move_load": "committed, full load, p95",
        "move_quiet_load": "quiet, full load, p95",
    }
    rows = []
    for name, said in names.items():
        if name in results:
            rows.append(Bar(said, results[name]["value"]))
            rows.append(Bar("by hand", results[name]["limit"], peer=True))
    title = "A move, from XADD on, among a million pending sends"
    return bars(title, "ms", rows) if rows else None


def _peers(results: Results) -> str | None:
    names = {"bulk_move": "moved in bulk", "smtp": "over SMTP"}
    peers = {"bulk_move": "raw SQL", "smtp": "aiosmtplib alone"}
    rows = []
    for name, said in names.items():
        if name in results:
            rows.append(Bar(said, results[name]["value"]))
            rows.append(Bar(peers[name], results[name]["limit"], peer=True))
    return bars("Customers moved, messages sent, a second", "", rows) if rows else None


def _memory(results: Results) -> str | None:
    if "memory" not in results:
        return None
    course = {
        name: [(float(sends), float(held)) for sends, held in points]
        for name, points in results["memory"]["course"].items()
    }
    return lines("Resident memory of each process", "sends", "MB", course)


if __name__ == "__main__":
    sys.exit(write_or_tell(documents()))
