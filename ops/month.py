"""A small calendar: which days a schedule sends on, and which are closed."""

from calendar import Calendar as Weeks
from collections.abc import Collection, Iterator
from datetime import date

from domain.calendar import Calendar
from domain.opening import is_open_on
from domain.window import Window

LEGEND = "[n] a send   ·n· a holiday or closed day"
_WEEKS = Weeks()


def months(sends: Collection[date], window: Window, calendar: Calendar) -> Iterator[str]:
    """The months from the first send to the last, line by line."""
    for year, month in sorted({(day.year, day.month) for day in sends}):
        yield f"{date(year, month, 1):%B %Y}".center(28).rstrip()
        yield " Mo  Tu  We  Th  Fr  Sa  Su"
        for week in _WEEKS.monthdatescalendar(year, month):
            cells = (
                _cell(day, sends, window, calendar) if day.month == month else "    "
                for day in week
            )
            yield "".join(cells).rstrip()
        yield ""


def _cell(day: date, sends: Collection[date], window: Window, calendar: Calendar) -> str:
    if day in sends:
        return f"[{day.day:>2}]"
    return f" {day.day:>2} " if is_open_on(window, day, calendar) else f"·{day.day:>2}·"
