"""What commands print: for a person, or with --json for a program."""

import json
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from ops.columns import aligned

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Account = Annotated[
    str | None, typer.Option("--account", "-a", help="Only this account.", show_default=False)
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="At most so many.")]


class UserError(Exception):
    """The command can't be done as it was asked; the message says what to do."""


class Screen:
    """Results on standard output, everything else on standard error."""

    def __init__(self) -> None:
        self.out = Console(highlight=False, soft_wrap=True)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, message: str) -> None:
        """A line of result."""
        self.out.print(escape(message))

    def note(self, message: str) -> None:
        """A line about the run, not a result."""
        self.err.print(escape(message), style="dim")

    def error(self, message: str) -> None:
        self.err.print(escape(message), style="red")

    def json(self, value: Any) -> None:
        self.out.file.write(json.dumps(value, default=str, ensure_ascii=False, indent=2) + "\n")

    def result(self, as_json: bool, value: Any, message: str) -> None:
        """One result, either way."""
        if as_json:
            self.json(value)
        else:
            self.say(message)

    def table(self, as_json: bool, rows: list[dict[str, Any]], *, none: str) -> None:
        """Rows with the same keys, either way; `none` is said when there are none."""
        if as_json:
            self.json(rows)
        elif not rows:
            self.say(none)
        else:
            shown = [{name.replace("_", " "): _shown(row[name]) for name in row} for row in rows]
            for line in aligned([(row, "") for row in shown]):
                self.say(line)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


def counted(number: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _shown(value: Any) -> str:
    if value is None or value is False or value == "":
        return "·"
    if value is True:
        return "yes"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return str(value)


screen = Screen()
