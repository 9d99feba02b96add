"""The one gate: whether a due send starts now, later, or not at all, and by which rule."""

from collections.abc import Callable
from datetime import timedelta

from domain.decision import Decision, Defer, Facts, Send, Skip
from domain.planning import opening
from domain.schedule import Late


def decide(facts: Facts) -> Decision:
    """The first rule that objects wins; see RULES for their order."""
    for rule in RULES:
        objection = rule(facts)
        if objection is not None:
            return objection
    return Send()


def paused(facts: Facts) -> Defer | None:
    """What an operator paused waits, undecided; a resume brings it forward."""
    if facts.paused:
        return Defer("paused", facts.now + PAUSED_LOOK)
    return None


def command_waits(facts: Facts) -> Defer | None:
    """A command that a pause keeps from being applied could be a move."""
    if facts.command_waits:
        return Defer("command_waits", facts.now + COMMAND_LOOK)
    return None


def reachable(facts: Facts) -> Skip | None:
    """A message needs an address of its channel."""
    if facts.recipient is None:
        wanted = "email address" if facts.step.channel == "email" else "telephone number"
        return Skip("reachable", f"the customer has no {wanted}")
    return None


def has_template(facts: Facts) -> Skip | None:
    """A message needs a text."""
    if not facts.template_exists:
        return Skip("has_template", f"there is no template {facts.step.template}")
    return None


def has_sender(facts: Facts) -> Defer | None:
    """A message needs a sender: until the account has one, it waits."""
    if facts.sender is None:
        return Defer("has_sender", facts.now + timedelta(hours=1))
    return None


def in_time(facts: Facts) -> Skip | None:
    """A step that is later than its schedule allows is not sent any more."""
    late = facts.now - facts.due_at
    if facts.step.when_late is Late.SKIP and late > facts.step.late_after:
        return Skip(
            "in_time", f"{_spoken(late)} late, where {_spoken(facts.step.late_after)} is allowed"
        )
    return None


def in_window(facts: Facts) -> Defer | None:
    """Nothing starts in the closed hours of the customer's day."""
    opens = opening(facts.schedule.window, facts.now, facts.zone)
    return Defer("in_window", opens) if opens > facts.now else None


def _spoken(span: timedelta) -> str:
    """Days and hours, or hours and minutes: as exact as a person asks for."""
    minutes = int(span.total_seconds() // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [(days, "d"), (hours, "h"), (0 if days else minutes, "min")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 min"


PAUSED_LOOK = timedelta(hours=1)
"""How long a paused template's sends are out of the others' way, unless resumed."""

COMMAND_LOOK = timedelta(minutes=10)

RULES: tuple[Callable[[Facts], Decision | None], ...] = (
    paused,
    command_waits,
    reachable,
    has_template,
    in_time,
    has_sender,
    in_window,
)
"""In this order: what is not to be decided yet, what makes a send impossible, then too late, then
when."""
