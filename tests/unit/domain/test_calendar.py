"""Holidays and business days: of countries, of regions, of one's own."""

from datetime import date
from threading import Thread

import pytest

from domain.calendar import NO_HOLIDAYS, Calendar, Holidays, _year
from domain.planning import calendar_for
from domain.schedule import Schedule

GERMANY, BAVARIA, EGYPT = (
    Calendar(Holidays(country="DE")),
    Calendar(Holidays(country="DE", subdivision="BY")),
    Calendar(Holidays(country="EG")),
)
CHRISTMAS = date(2025, 12, 25)  # a Thursday; the 26th is a holiday in Germany too


@pytest.mark.parametrize(
    ("calendar", "day", "number", "found"),
    [
        (GERMANY, CHRISTMAS, 0, date(2025, 12, 29)),
        (GERMANY, CHRISTMAS, 1, date(2025, 12, 29)),
        (GERMANY, CHRISTMAS, 4, date(2026, 1, 2)),
        (GERMANY, CHRISTMAS, -1, date(2025, 12, 24)),
        (GERMANY, date(2025, 12, 24), 0, date(2025, 12, 24)),
        (GERMANY, date(2025, 12, 24), 1, date(2025, 12, 29)),
        (BAVARIA, date(2026, 1, 5), 1, date(2026, 1, 7)),
        (GERMANY, date(2026, 1, 5), 1, date(2026, 1, 6)),
        (NO_HOLIDAYS, CHRISTMAS, 1, date(2025, 12, 26)),
        (NO_HOLIDAYS, date(2026, 1, 2), 1, date(2026, 1, 5)),
        (EGYPT, date(2026, 1, 15), 1, date(2026, 1, 18)),
    ],
)
def test_business_days_skip_the_calendars_weekends_and_holidays(
    calendar: Calendar, day: date, number: int, found: date
) -> None:
    """In Egypt Friday and Saturday are the weekend."""
    assert calendar.business_days_after(day, number) == found


def test_a_holiday_observed_in_another_year_is_one() -> None:
    """1 January 2028 is a Saturday, and observed on the Friday before in the United States."""
    assert Calendar(Holidays(country="US")).is_holiday(date(2027, 12, 31))


def test_years_are_whole_for_every_thread_that_asks_first() -> None:
    """The library marks a year as known before it has filled it in."""
    _year.cache_clear()
    seen: list[bool] = []
    calendar = Calendar(Holidays(country="DE"))
    threads = [Thread(target=lambda: seen.append(calendar.is_holiday(CHRISTMAS))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 8


@pytest.mark.parametrize(
    ("of_schedule", "holidays"),
    [
        (None, {"2026-07-14", "2026-12-24"}),
        ({"country": "DE"}, {"2026-10-03", "2026-12-24"}),
        ({"days": ["2026-12-31"]}, {"2026-12-31", "2026-12-24"}),
        ("none", set()),
    ],
)
def test_the_schedules_holidays_count_with_the_accounts_days_else_the_accounts(
    of_schedule: object, holidays: set[str]
) -> None:
    account = Holidays(country="FR", days=(date(2026, 12, 24),))
    schedule = Schedule.model_validate(
        {
            "anchor": "assigned_at",
            "steps": [{"offset": "P1D", "channel": "email", "template": "t"}],
            "holidays": of_schedule,
        }
    )
    calendar = calendar_for(schedule, account)
    asked = ("2026-07-14", "2026-10-03", "2026-12-24", "2026-12-31")
    assert {day for day in asked if calendar.is_holiday(date.fromisoformat(day))} == holidays
