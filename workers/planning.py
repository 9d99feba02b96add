"""From an enrolment to its next send: the schedule's rules with the facts as committed."""

from datetime import datetime
from zoneinfo import ZoneInfo

from domain.message import Channel
from domain.planning import Anchor, calendar_for, due_at, shift_of, shifted, zone_of
from domain.schedule import Schedule
from storage.accounts import Account
from storage.database import Connection
from storage.definitions import read_schedule
from storage.enrolments import Advance, Enrolment, Plan
from storage.settles import Course
from storage.starts import Due
from storage.versions import OldRun


def plan_of(connection: Connection, account: Account, enrolment: Enrolment) -> Plan:
    """The send of an enrolment's present step."""
    schedule = read_schedule(connection, account.account, enrolment.schedule, enrolment.version)
    zone = zone_of(enrolment.zone, schedule, account.zone)
    at = _due_at(account, schedule, enrolment.step, anchor_now(enrolment), zone)
    channel = schedule.step_at(enrolment.step).channel
    return Plan(enrolment.enrolment, enrolment.step, channel.value, planned_at=at, due_at=at)


def anchor_now(run: Course | Due | Enrolment | OldRun) -> Anchor:
    """What a run counts from, with what late steps have moved it by."""
    anchor = run.anchor_date or run.anchor_at
    assert anchor is not None, "the schema has exactly one"
    return shifted(anchor, run.shift_seconds)


def after(
    connection: Connection, account: Account, step: Course | Due | Enrolment, moved_by: int = 0
) -> tuple[str | None, datetime | None]:
    """Channel and moment of the send that follows one; (None, None): the schedule is complete.

    `moved_by`: seconds that this very step moves what follows it by.
    """
    schedule = read_schedule(connection, account.account, step.schedule, step.version)
    following = step.step + 1
    if following >= schedule.length:
        return None, None
    zone = zone_of(step.zone, schedule, account.zone)
    at = _due_at(account, schedule, following, shifted(anchor_now(step), moved_by), zone)
    return schedule.step_at(following).channel.value, at


def _due_at(
    account: Account, schedule: Schedule, cursor: int, anchor: Anchor, zone: ZoneInfo
) -> datetime:
    return due_at(schedule, cursor, anchor, zone, calendar_for(schedule, account.holidays))


def moved_by(connection: Connection, account: Account, course: Course) -> int:
    """By how many seconds a send that was started moves what follows it; mostly 0."""
    schedule = read_schedule(connection, account.account, course.schedule, course.version)
    zone = zone_of(course.zone, schedule, account.zone)
    step = schedule.step_at(course.step)
    return shift_of(step, course.planned_at, course.business_at, zone, course.shift_seconds)


def fallback_of(connection: Connection, account: Account, course: Course) -> Channel | None:
    """The other channel that a send's step can go by, if it went by its own."""
    schedule = read_schedule(connection, account.account, course.schedule, course.version)
    return schedule.step_at(course.step).other_channel(Channel(course.channel))


def advance_of(connection: Connection, account: Account, over: Due | Enrolment) -> Advance:
    """The step after one that is over without having been started."""
    enrolment = over.held.enrolment if isinstance(over, Due) else over.enrolment
    return Advance(enrolment, over.step, *after(connection, account, over))
