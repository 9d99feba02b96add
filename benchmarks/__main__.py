"""`python -m benchmarks [NAME …]`: measure, print a table, write results.json."""

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import standing, throughput
from benchmarks.figure import RESULTS, Figure, table, write_results
from benchmarks.ground import BenchmarkError, Ground, open_ground
from benchmarks.machine import machine
from benchmarks.sizes import FULL, QUICK, Size

Measure = Callable[[Ground, Size, Collection[str]], dict[str, Figure]]

SUITES: dict[tuple[str, ...], Measure] = {
    throughput.FIGURES: throughput.measure,
    standing.FIGURES: standing.measure,
}
"""What is measured in one go, in this order."""

NAMES = [name for figures in SUITES for name in figures]


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
    console = Console()
    figures: dict[str, Figure] = {}
    try:
        with open_ground() as ground:
            console.print(ground.servers.said, style="dim", highlight=False)
            figures["machine"] = machine(ground.servers, quick=quick)
            for names_of_suite, measure in SUITES.items():
                if wanted & set(names_of_suite):
                    began = time.monotonic()
                    figures |= measure(ground, QUICK if quick else FULL, wanted)
                    took = time.monotonic() - began
                    console.print(f"{', '.join(names_of_suite)}: {took:.0f} s", style="dim")
    except BenchmarkError as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None
    console.print(table(figures))
    target = out or (None if quick else RESULTS)
    if target is not None:
        write_results(target, figures)


def _wanted(names: Collection[str]) -> set[str]:
    given = [name for word in names for name in word.split(",") if name]
    unknown = sorted(set(given) - set(NAMES))
    if unknown:
        raise typer.BadParameter(
            f"There is no figure {', '.join(unknown)}. There are: {', '.join(NAMES)}."
        )
    return set(given or NAMES)


if __name__ == "__main__":
    typer.run(main)
