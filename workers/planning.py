"""From an enrolment to its next send: the schedule's rules with the facts as committed."""

from datetime import datetime

from domain.planning import due_at, zone_of
from storage.accounts import Account
from storage.database import Connection
from storage.definitions import read_schedule
from storage.enrolments import Advance, Enrolment, Plan
from storage.settles import Flight
from storage.starts import Due


def plan_of(connection: Connection, account: Account, enrolment: Enrolment) -> Plan:
    """The send of an enrolment's present step."""
    schedule = read_schedule(connection, account.account, enrolment.schedule, enrolment.version)
    zone = zone_of(enrolment.zone, schedule, account.zone)
    at = due_at(schedule, enrolment.step, enrolment.anchor, zone)
    channel = schedule.steps[enrolment.step].channel
    return Plan(enrolment.enrolment, enrolment.step, channel.value, planned_at=at, due_at=at)


def after(
    connection: Connection, account: Account, step: Flight | Due | Enrolment
) -> tuple[str | None, datetime | None]:
    """Channel and moment of the send that follows one; (None, None): the schedule is complete."""
    schedule = read_schedule(connection, account.account, step.schedule, step.version)
    following = step.step + 1
    if following == len(schedule.steps):
        return None, None
    anchor = step.anchor_date or step.anchor_at
    assert anchor is not None, "the schema has exactly one"
    at = due_at(schedule, following, anchor, zone_of(step.zone, schedule, account.zone))
    return schedule.steps[following].channel.value, at


def advance_of(connection: Connection, account: Account, over: Due | Enrolment) -> Advance:
    """The step after one that is over without having been started."""
    enrolment = over.held.enrolment if isinstance(over, Due) else over.enrolment
    return Advance(enrolment, over.step, *after(connection, account, over))
