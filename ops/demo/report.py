"""The report: one screen that a person enjoys reading."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.audit_command import in_words
from ops.demo.example import told
from ops.demo.findings import Findings
from ops.demo.ground import Ground
from ops.demo.progress import Calendar
from ops.demo.story import BEGINS, ENDS
from storage.audit import CheckResult

_REJECTIONS_SHOWN = 3
_WIDEST = 100
_SKIPPED = {
    "reachable": "no address or number for that step",
    "in_time": "too late after a pause",
}

Line = tuple[str, str]
"""A figure, and what it counts; without a figure it belongs to the line above."""


def report(
    console: Console,
    ground: Ground,
    findings: Findings,
    audit: Sequence[CheckResult],
    calendar: Calendar,
    seconds: float,
) -> None:
    """Print it."""
    width = min(console.width, _WIDEST)
    console.print(_headline(findings))
    console.print(_calendar(calendar))
    console.print(_table(_figures(findings), width))
    if findings.example is not None:
        customer = findings.example.move.customer
        console.print(Text(f"\n  One of those moved, {customer}:", "bold"))
        console.print(_table(told(findings.example), width))
    console.print(_ending(ground, findings, audit, seconds))


def _headline(findings: Findings) -> Text:
    late, moved = findings.sent_after_quiet, findings.moved
    text = Text("\n  Messages sent after quiet: ", "bold")
    text.append(f"{late}", "bold red" if late else "bold green")
    text.append(f" of {moved} moved customers", "bold")
    text.append(f" (and {findings.paid} paid, {findings.paused} paused)\n")
    text.append("  counted by the times of the outbox's own files\n", "dim")
    return text


def _calendar(calendar: Calendar) -> Text:
    line = calendar.line()
    days = f"{BEGINS:%d %b}".ljust(len(line) - 6) + f"{ENDS:%d %b}"
    return Text("  ") + line + Text("  messages a day\n  ") + Text(days + "\n", "dim")


def _table(lines: Iterator[Line], width: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", style="bold", no_wrap=True, min_width=6)
    table.add_column(max_width=width - 10, no_wrap=True, overflow="ellipsis")
    for figure, words in lines:
        table.add_row(figure, Text(words, "" if figure else "dim"))
    return table


def _figures(found: Findings) -> Iterator[Line]:
    rejected = found.file.rejected
    yield (
        str(len(found.file.customers)),
        f"customers imported from examples/customers.csv, {len(rejected)} rows rejected:",
    )
    for row in rejected[:_REJECTIONS_SHOWN]:
        yield "", f"line {row.line}, {row.reason}"
    if len(rejected) > _REJECTIONS_SHOWN:
        yield "", f"and {len(rejected) - _REJECTIONS_SHOWN} more: layby demo --json"
    yield str(found.activated), "activated: every place of the plan"
    yield str(found.refused_by_quota), "refused by the plan's limit; they heard nothing"
    yield str(sum(found.sent.values())), _sent(found)
    for rule, count in found.skipped.items():
        yield str(count), f"skipped by the rule {rule}: {_SKIPPED.get(rule, 'see explain')}"
    for state, count in found.other.items():
        if count:
            yield str(count), f"{state}: layby {state}"
    yield str(found.paid), "customers paid, which ended their reminders"
    yield from _moves(found)


def _sent(found: Findings) -> str:
    days = (ENDS - BEGINS).days
    return f"messages sent in {days} days: {found.sent['email']} emails, {found.sent['sms']} texts"


def _moves(found: Findings) -> Iterator[Line]:
    just = found.moved - found.started_at_move - found.sent_just_before
    yield str(found.moved), "moved to the directory while a reminder was due:"
    yield "", f"{just} stopped before it started"
    yield "", f"{found.started_at_move} with it in progress: waited for, then reported quiet"
    yield "", f"{found.sent_just_before} a moment after it had gone out; the next one cancelled"
    yield str(found.paused), f"paused for some days, then resumed; {found.reactivated} came back"


def _ending(
    ground: Ground, findings: Findings, audit: Sequence[CheckResult], seconds: float
) -> Text:
    broken = any(result.broken for result in audit)
    text = Text("\n  Audit     ", "bold")
    text.append(in_words(list(audit)), "bold red" if broken else "green")
    text.append("\n  Messages  ", "bold").append(str(ground.outbox), "default")
    if findings.example is not None:
        text.append("\n  Next      ", "bold")
        customer = findings.example.move.customer
        text.append(ground.again(f"{_layby()} explain {customer}"), "default")
    return text.append(f"\n\n  {seconds:.1f} seconds, servers and all.", "dim")


def _layby() -> str:
    if shutil.which("layby"):
        return "layby"
    program = Path(sys.argv[0])
    return os.path.relpath(program) if program.name == "layby" else "python -m ops"
