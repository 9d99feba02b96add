"""`python -m benchmarks [NAME …]`: measure, print a table, write results.json."""

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import bulk_move, forecast, memory, plans, smtp, standing, throughput, up
from benchmarks.figure import RESULTS, Figure, table, write_results
from benchmarks.ground import BenchmarkError, Ground, open_ground
from benchmarks.machine import machine
from benchmarks.sizes import FULL, QUICK, Size

Measure = Callable[[Ground, Size, Collection[str]], dict[str, Figure]]

SUITES: dict[tuple[str, ...], Measure] = {
    throughput.FIGURES: throughput.measure,
    standing.FIGURES: standing.measure,
    bulk_move.FIGURES: bulk_move.measure,
    plans.FIGURES: plans.measure,
    forecast.FIGURES: forecast.measure,
    smtp.FIGURES: smtp.measure,
    memory.FIGURES: memory.measure,
    up.FIGURES: up.measure,
}
"""What is measured in one go, in this order."""

NAMES = [name for figures in SUITES for name in figures]


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console()


@app.command()
def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="Only these, commas or spaces between.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small size, to see that it runs; writes nothing.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write the results here.")] = None,
) -> None:
    """Measure the engine beside its limits and peers, on servers of this run's own."""
    wanted = _wanted(names or [])
    target = out or (None if quick else RESULTS)
    with open_ground() as ground:
        console.print(ground.servers.said, style="dim", highlight=False)
        figures = {"machine": machine(ground.servers, quick=quick)}
        failed = False
        for named, measure in SUITES.items():
            if wanted & set(named):
                measured = _measure(named, partial(measure, ground, _size(quick=quick), wanted))
                figures |= measured
                failed = failed or not measured
    console.print(table(figures))
    if target is not None:
        write_results(target, figures)
    if failed:
        raise typer.Exit(1)


def _measure(names: Sequence[str], measure: Callable[[], dict[str, Figure]]) -> dict[str, Figure]:
    """What one suite measures; nothing, with the reason said, if it can't."""
    began = time.monotonic()
    try:
        figures = measure()
    except BenchmarkError as error:
        console.print(str(error), style="red", markup=False)
        figures = {}
    console.print(f"{', '.join(names)}: {time.monotonic() - began:.0f} s", style="dim")
    return figures


def _size(*, quick: bool) -> Size:
    return QUICK if quick else FULL


def _wanted(names: Collection[str]) -> set[str]:
    given = [name for word in names for name in word.split(",") if name]
    unknown = sorted(set(given) - set(NAMES))
    if unknown:
        raise typer.BadParameter(
            f"There is no figure {', '.join(unknown)}. There are: {', '.join(NAMES)}."
        )
    return set(given or NAMES)


if __name__ == "__main__":
    app()
