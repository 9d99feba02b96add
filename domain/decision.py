"""What the gate decides on, and what it can decide."""

from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from domain.schedule import Schedule, Step


class Facts(NamedTuple):
    """What the gate decides on, read under the slot's lock."""

    now: datetime
    due_at: datetime
    """When the step was due by the schedule, before any retry or deferral."""
    schedule: Schedule
    step: Step
    zone: ZoneInfo
    recipient: str | None
    template_exists: bool
    sender: str | None
    paused: bool = False
    """The template is, by an operator."""
    command_waits: bool = False
    """One for this customer, in a queue that is paused."""


class Send(NamedTuple):
    rule: str = "send"


class Defer(NamedTuple):
    rule: str
    until: datetime


class Skip(NamedTuple):
    rule: str
    reason: str


Decision = Send | Defer | Skip
