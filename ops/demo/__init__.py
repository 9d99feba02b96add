"""`layby demo`: the main job from start to end, in seconds, and what it proves."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import typer

from config.machine_time import machine_seconds
from config.settings import read_settings
from ops.customer_file import CustomerFile, CustomerFileError, read_customer_file
from ops.demo.findings import Findings, find
from ops.demo.ground import Ground, open_ground
from ops.demo.outbox import read_outbox
from ops.demo.play import Play
from ops.demo.progress import Progress, progress_on
from ops.demo.report import report
from ops.demo.stream import ACCOUNT, Stream
from ops.demo.watch import Watch, processes
from ops.screen import Json, UserError, screen
from storage.audit import CheckResult, run_audit

EXAMPLES = Path(__file__).parents[2] / "examples"


def demo(*, json: Json = False) -> None:
    """Play seven weeks of reminders for some hundred customers, and count what came too late."""
    began = machine_seconds()
    progress = Progress() if json else progress_on(screen.err)
    with _ended_by_sigterm(), open_ground(read_settings()) as ground:
        progress.step(f"Servers: {', '.join(ground.installation.servers.said.splitlines())}")
        findings = _run(ground, progress)
        with ground.installation.engine.connect() as connection:
            audit = run_audit(connection, ACCOUNT)
        seconds = machine_seconds() - began
        if json:
            screen.json(_figures(ground, findings, audit, seconds))
        else:
            report(screen.out, ground, findings, audit, progress.calendar, seconds)
    broken = any(result.broken for result in audit)
    if findings.sent_after_quiet or findings.sent_to_inactive or broken:
        raise typer.Exit(1)


def _figures(
    ground: Ground, findings: Findings, audit: Sequence[CheckResult], seconds: float
) -> dict[str, Any]:
    broken = [result.check.name for result in audit if result.broken]
    return findings.as_json() | {
        "audit": "failed" if broken else "passed",
        "broken": broken,
        "outbox": str(ground.outbox),
        "seconds": round(seconds, 1),
    }


def _run(ground: Ground, progress: Progress) -> Findings:
    installation = ground.installation
    stream = Stream(installation.redis())
    with processes(ground) as logs, progress:
        watch = Watch(installation.engine, stream, logs)
        play = Play(installation.engine, stream, watch, progress, EXAMPLES)
        play.set_up()
        file = _customers()
        play.add(file)
        progress.step(f"Imported {len(file.customers)} customers, {len(file.rejected)} rejected")
        activation = play.activate(file)
        story = play.begin(file, [line.customer or "" for line in activation.refusals])
        progress.step(f"Activated {activation.applied}, as many as the plan has places")
        play.travel(story)
    # Counted when no process is left that could write: what is in the outbox now is all there is.
    delivered = read_outbox(ground.outbox)
    with installation.engine.connect() as connection:
        return find(connection, file, activation, story, delivered)


def _customers() -> CustomerFile:
    try:
        return read_customer_file(EXAMPLES / "customers.csv")
    except CustomerFileError as error:
        raise UserError(str(error)) from None


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: processes and servers first."""

    def end(number: int, _: object) -> NoReturn:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
