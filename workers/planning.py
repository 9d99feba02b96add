"""From an enrolment to its next send: the schedule's rules with the facts as committed."""

from domain.planning import due_at, zone_of
from storage.accounts import Account
from storage.database import Connection
from storage.definitions import read_schedule
from storage.enrolments import Advance, Enrolment, Plan
from storage.settles import Over
from storage.starts import Due


def plan_of(connection: Connection, account: Account, enrolment: Enrolment) -> Plan:
    """The send of an enrolment's present step."""
    schedule = read_schedule(connection, account.account, enrolment.schedule, enrolment.version)
    zone = zone_of(enrolment.zone, schedule, account.zone)
    at = due_at(schedule, enrolment.step, enrolment.anchor, zone)
    channel = schedule.steps[enrolment.step].channel
    return Plan(enrolment.enrolment, enrolment.step, channel.value, planned_at=at, due_at=at)


def advance_of(connection: Connection, account: Account, over: Over | Due) -> Advance:
    """The send after one that is over, or the end of the schedule."""
    sent = over.held if isinstance(over, Due) else over
    schedule = read_schedule(connection, account.account, over.schedule, over.version)
    following = sent.step + 1
    if following == len(schedule.steps):
        return Advance(sent.enrolment, sent.step, None, None)
    anchor = over.anchor_date or over.anchor_at
    assert anchor is not None, "the schema has exactly one"
    zone = zone_of(over.zone, schedule, account.zone)
    at = due_at(schedule, following, anchor, zone)
    return Advance(sent.enrolment, sent.step, schedule.steps[following].channel.value, at)
