"""`plans`: next steps planned a second, beside the bare conversion of their wall times.

Customers in the world's zones as people live in them, due dates over six weeks; by days of the
calendar and of business, in windows, round holidays. Once with nothing remembered, as a process
begins, and once as it goes on: customers share days, zones and schedules.
"""

import random
import time
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from benchmarks.figure import Figure, beside
from benchmarks.forecast import SCHEDULE, ZONES
from benchmarks.ground import Ground
from benchmarks.sizes import Size
from domain import planning
from domain.planning import calendar_for, due_at
from domain.schedule import Schedule
from domain.zones import zone_named

FIGURES = ("plans",)
_ROUNDS = 5
_FIRST_DUE = date(2026, 1, 12)
_DAYS = 42

Customer = tuple[date, ZoneInfo]
"""A due date, and whose clock it is by."""


def measure(_: Ground, size: Size, __: Collection[str]) -> dict[str, Figure]:
    """No server is asked."""
    schedule = Schedule.model_validate(SCHEDULE)
    customers = _customers(size.customers)
    began, going, bare = [], [], []
    for _round in range(_ROUNDS):
        _forget()
        began.append(_planned_a_second(schedule, customers))
        going.append(_planned_a_second(schedule, customers))
        bare.append(_converted_a_second(schedule, customers))
    figure = beside(going, bare, "plans/s", "", from_nothing=sorted(began)[_ROUNDS // 2])
    return {"plans": figure}


def _customers(number: int) -> list[Customer]:
    chance = random.Random(1)  # noqa: S311 - a sample, not a secret
    zones = [zone_named(name) for name in ZONES]
    return [
        (_FIRST_DUE + timedelta(days=chance.randrange(_DAYS)), chance.choice(zones))
        for _ in range(number)
    ]


def _forget() -> None:
    for remembered in (planning._latest, planning._hour_of):  # noqa: SLF001 - as in a new process
        remembered.cache_clear()


def _planned_a_second(schedule: Schedule, customers: list[Customer]) -> float:
    calendar = calendar_for(schedule, None)
    began = time.process_time()
    for day, zone in customers:
        for cursor in range(schedule.length):
            due_at(schedule, cursor, day, zone, calendar)
    return len(customers) * schedule.length / (time.process_time() - began)


def _converted_a_second(schedule: Schedule, customers: list[Customer]) -> float:
    """What nothing that plans by wall time can do without."""
    hour = schedule.steps[0].at
    assert hour is not None
    began = time.process_time()
    for day, zone in customers:
        for later in range(schedule.length):
            wall = datetime.combine(day + timedelta(days=later), hour, tzinfo=zone)
            wall.astimezone(UTC)
    return len(customers) * schedule.length / (time.process_time() - began)
