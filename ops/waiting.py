"""Waiting for commands: what `send`, `replay` and `import` do until an outcome is there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from config.machine_time import Deadline
from ops.installation import Installation
from ops.outcome_words import print_outcomes
from ops.screen import UserError, screen
from storage import outcomes
from storage.database import Connection
from storage.outcomes import Outcome, RefusedLine
from storage.outcomes import Progress as HowFar

Sent = list[tuple[str, str]]
"""(account, id) of commands."""

_POLL_SECONDS = 0.02
_PAGE = 1_000


def wait_for(
    installation: Installation, sent: Sent, wait: str | None, seconds: float, *, idle: bool = False
) -> list[Outcome]:
    """Outcomes, once all are `done` or `quiet`; `idle`: the seconds count from the last progress.

    Raises UserError when time is up, or a Ctrl-C ends the waiting.
    """
    deadline, decided = Deadline.after(seconds), -1
    quiet: set[tuple[str, str]] = set()
    with _until_interrupted(), _shown() as show:
        while wait is not None:
            with installation.engine.connect() as connection:
                found = outcomes.read_progress(connection, sent)
                open_ = _open(connection, found, wait, quiet)
            show(found)
            if not open_:
                break
            if idle and sum(one.decided for one in found) != decided:
                deadline, decided = Deadline.after(seconds), sum(one.decided for one in found)
            if deadline.passed:
                _give_up(installation, sent, wait, seconds, open_)
            screen.wait(_POLL_SECONDS)
    return read_all(installation, sent)


def read_all(installation: Installation, sent: Sent) -> list[Outcome]:
    """The outcomes as they are now."""
    with installation.engine.connect() as connection:
        found = [outcomes.read_outcome(connection, *names) for names in sent]
    return [one for one in found if one is not None]


def all_refusals(installation: Installation, account: str, command: str) -> Iterator[RefusedLine]:
    """Every line refused or superseded, read page by page."""
    after = ""
    while True:
        with installation.engine.connect() as connection:
            page = outcomes.read_refusals(connection, account, command, after, _PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        after = str(page[-1].customer)


def _open(
    connection: Connection, found: list[HowFar], wait: str, quiet: set[tuple[str, str]]
) -> list[str]:
    """Ids of what is to be waited for still; quiet is asked for once a command is done."""
    open_ = []
    for one in found:
        if not one.done:
            open_.append(one.command)
        elif wait == "quiet" and (one.account, one.command) not in quiet:
            outcome = outcomes.read_outcome(connection, one.account, one.command)
            if outcome is None or outcome.awaits_quiet:
                open_.append(one.command)
            else:
                quiet.add((one.account, one.command))
    return open_


def _give_up(
    installation: Installation, sent: Sent, wait: str, seconds: float, open_: list[str]
) -> None:
    print_outcomes(read_all(installation, sent), as_json=False)
    raise UserError(
        f"Not {wait} after {seconds:g} seconds: {', '.join(open_)}. The commands are accepted and "
        "will be applied; is a lifecycle process running, for long lists a bulk process, and a "
        "scheduler? See: layby command show ID"
    )


@contextmanager
def _until_interrupted() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise UserError(
            "No longer waited for: what was accepted is applied all the same. See: layby command "
            "list"
        ) from None


@contextmanager
def _shown() -> Iterator[Callable[[list[HowFar]], None]]:
    """A bar on a terminal, once there is something bulk to wait for."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=screen.err,
        disable=not screen.err.is_terminal,
        transient=True,
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def show(found: list[HowFar]) -> None:
            for one in (one for one in found if one.bulk):
                if one.command not in tasks:
                    tasks[one.command] = bar.add_task(escape(one.command), total=None)
                # Of a filter, how many there are is known once it is resolved.
                total = one.targets if one.resolved else None
                bar.update(tasks[one.command], completed=one.decided, total=total)

        yield show
