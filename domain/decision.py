"""What the gate decides on, and what it can decide."""

from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from domain.calendar import NO_HOLIDAYS, Calendar
from domain.caps import Recent
from domain.law import Law
from domain.message import Channel
from domain.rules import Rules
from domain.schedule import Schedule
from domain.step import Step
from domain.suppression import Suppression


class Facts(NamedTuple):
    """What the gate decides on, read under the slot's lock."""

    now: datetime
    due_at: datetime
    """When the step was due by the schedule, before any retry or deferral."""
    schedule: Schedule
    step: Step
    """As it goes by the channel at hand: its own, or its fallback's (`Step.by`)."""
    zone: ZoneInfo
    recipient: str | None
    template_exists: bool
    sender: str | None
    paused: bool = False
    """The template is, by an operator."""
    command_waits: bool = False
    """One for this customer, in a queue that is paused."""
    rules: Rules = Rules()
    """The account's."""
    reference: str = ""
    places: tuple[ZoneInfo, ...] = ()
    """Where the customer may be, if a rule asks; none: only its zone is known."""
    laws: tuple[Law, ...] = ()
    """That this send is under, if the account asks for them."""
    recent: tuple[Recent, ...] = ()
    """The customer's other messages, where there are enough to fill a cap."""
    messages: int = 0
    """How many other messages the customer has had, as far back as something counts them."""
    messaged_at: datetime | None = None
    """When the last message of this enrolment went out, or may have."""
    messaged_for: datetime | None = None
    """When that one was due by the schedule."""
    suppressions: tuple[Suppression, ...] = ()
    """Of this customer and its recipients, as far as they hold for this schedule."""
    calendar: Calendar = NO_HOLIDAYS
    """Whose holidays count."""
    fallback: Channel | None = None
    """The channel to try if this one is impossible; None: there is none, or this is it."""
    diverted_by: str | None = None
    """This is the fallback: the rule that closed the step's own channel."""


class Send(NamedTuple):
    rule: str = "send"


class Defer(NamedTuple):
    rule: str
    until: datetime
    inputs: dict[str, Any] = {}  # noqa: RUF012 - never written to
    """What it was decided on: hours, zones, counts; no personal data."""


class Skip(NamedTuple):
    rule: str
    reason: str
    inputs: dict[str, Any] = {}  # noqa: RUF012 - never written to
    by_channel: bool = False
    """Only this channel is impossible: the step's fallback is tried, if it has one."""


class Divert(NamedTuple):
    """To the step's fallback, where the same gate decides anew; `rule` closed its own channel."""

    rule: str
    channel: Channel
    inputs: dict[str, Any] = {}  # noqa: RUF012 - never written to


Decision = Send | Defer | Skip | Divert
