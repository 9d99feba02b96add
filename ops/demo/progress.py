"""What a person sees while the demo runs: on a terminal a travelling calendar, else plain lines."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from ops.demo.story import BEGINS, ENDS, Deed

_LEVELS = " ▁▂▃▄▅▆▇█"


class Counts(NamedTuple):
    """How far it is."""

    email: int = 0
    sms: int = 0
    paid: int = 0
    moved: int = 0


class Calendar:
    """Messages by day, drawn as one line of blocks."""

    def __init__(self) -> None:
        self.sent: dict[date, int] = {}
        self._before = 0

    def count(self, now: datetime, total: int) -> None:
        day = now.date()
        self.sent[day] = self.sent.get(day, 0) + total - self._before
        self._before = total

    def line(self, now: datetime | None = None) -> Text:
        """All days; those after `now` are yet to come."""
        most = max([*self.sent.values(), 1])
        drawn = Text()
        for number in range((ENDS - BEGINS).days + 1):
            day = (BEGINS + timedelta(days=number)).date()
            if now is not None and day > now.date():
                drawn.append("·", "dim")
            else:
                sent = self.sent.get(day, 0)
                level = -(-sent * (len(_LEVELS) - 1) // most)
                drawn.append(_LEVELS[level], "cyan")
        return drawn


class Progress:
    """Says nothing: for --json."""

    def __init__(self) -> None:
        self.calendar = Calendar()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was begun."""

    def step(self, what: str) -> None:
        """Something new begins."""

    def travelled(self, due: int, deeds: Sequence[Deed]) -> None:
        """The clock and what happens with it are published."""

    def arrived(self, now: datetime, counts: Counts) -> None:
        """The engine is at rest at this moment."""
        self.calendar.count(now, counts.email + counts.sms)


class Lines(Progress):
    """A line for each step and each week."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._week = 0

    def step(self, what: str) -> None:
        self._console.print(what)

    def arrived(self, now: datetime, counts: Counts) -> None:
        super().arrived(now, counts)
        week = (now - BEGINS) // timedelta(weeks=1) + 1
        if week > self._week:
            self._week = week
            self._console.print(f"{now:%a %d %b %Y}: {_told(counts)}")


class Pictures(Progress):
    """A calendar that fills as the clock travels, with what just happened below it."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._said = ""

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def step(self, what: str) -> None:
        self._console.print(Text("✓ ", "green") + Text(what))

    def travelled(self, due: int, deeds: Sequence[Deed]) -> None:
        moves = sum(deed.kind == "move_to_directory" for deed in deeds)
        if moves:
            self._said = f"{moves} moves to the directory meet {due} reminders that are due"

    def arrived(self, now: datetime, counts: Counts) -> None:
        super().arrived(now, counts)
        self._live.update(self._picture(now, counts), refresh=True)

    def _picture(self, now: datetime, counts: Counts) -> RenderableType:
        return Group(
            Text(),
            Text(f"  {now:%a %d %b %Y  %H:%M} UTC", "bold"),
            Text("  ") + self.calendar.line(now),
            Text(f"  {_told(counts)}"),
            Text(f"  {self._said}", "dim"),
        )


def _told(counts: Counts) -> str:
    return (
        f"{counts.email} emails and {counts.sms} texts sent, {counts.paid} customers paid, "
        f"{counts.moved} moved"
    )


def progress_on(console: Console) -> Progress:
    """For whoever watches: a person at a terminal, or a log."""
    return Pictures(console) if console.is_terminal else Lines(console)
