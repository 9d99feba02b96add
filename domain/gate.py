"""The one gate: whether a due send starts now, later, or not at all, and by which rule."""

from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache

from domain.calendar import NO_HOLIDAYS
from domain.consent import consent
from domain.decision import Decision, Defer, Divert, Facts, Send, Skip
from domain.hours import HORIZON
from domain.opening import opening
from domain.policy import apart, caps, collector, no_send_hours, stricter_law
from domain.step import Late


def decide(facts: Facts) -> Decision:
    """The first rule that objects wins; see ORDER. Those that say when agree on one moment."""
    for rule in _BEFORE:
        objection = rule(facts)
        if objection is not None:
            return _diverted(objection, facts)
    for rule in _WHEN:
        objection = rule(facts)
        if objection is not None:
            return objection if isinstance(objection, Skip) else _agreed(facts, objection)
    return _SEND


def _agreed(facts: Facts, first: Defer) -> Defer | Skip:
    """Put off by one rule, to the first moment that all of them allow; never again and again."""
    until, others = first.until, set[str]()
    for _ in range(_ROUNDS):
        if not facts.now < until <= facts.now + HORIZON:
            break
        at = facts._replace(now=until)
        objection = next((one for rule in _WHEN if (one := rule(at)) is not None), None)
        if objection is None:
            inputs = {**first.inputs, "also": sorted(others)} if others else first.inputs
            return Defer(first.rule, until, inputs)
        if isinstance(objection, Skip):
            return objection
        if objection.until <= until:
            break
        until = objection.until
        others |= {objection.rule} - {first.rule}
    also = f" together with {', '.join(sorted(others))}" if others else ""
    reason = f"no moment of the next {HORIZON.days} days is allowed by it{also}"
    return Skip(first.rule, reason, {**first.inputs, "also": sorted(others)})


def _diverted(objection: Decision, facts: Facts) -> Decision:
    if isinstance(objection, Skip) and objection.by_channel and facts.fallback is not None:
        return Divert(objection.rule, facts.fallback)
    return objection


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
        return Skip("reachable", f"the customer has no {wanted}", by_channel=True)
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
    """A step that is later than its schedule allows is not sent any more, if it says so.

    One that re-anchors is sent, and what follows it is planned from then (`planning.shift_of`).
    """
    late = facts.now - facts.due_at
    if facts.step.when_late is Late.SKIP and facts.step.is_late(late):
        return Skip(
            "in_time", f"{_spoken(late)} late, where {_spoken(facts.step.late_after)} is allowed"
        )
    return None


def in_window(facts: Facts) -> Defer | None:
    """Nothing starts in the closed hours of the customer's day."""
    opens = _opening(facts.schedule.window, facts.now, facts.zone, NO_HOLIDAYS)
    return Defer("in_window", opens) if opens > facts.now else None


def on_no_holiday(facts: Facts) -> Defer | None:
    """Nothing starts on a holiday of the schedule's calendar."""
    calendar = facts.calendar
    if calendar.empty or not calendar.is_holiday(facts.now.astimezone(facts.zone).date()):
        return None
    opens = _opening(facts.schedule.window, facts.now, facts.zone, calendar)
    return Defer("on_no_holiday", opens) if opens > facts.now else None


_opening = lru_cache(maxsize=16_384)(opening)
"""A batch shares its moment, and its customers their zones."""


def _spoken(span: timedelta) -> str:
    """Days and hours, or hours and minutes: as exact as a person asks for."""
    minutes = int(span.total_seconds() // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [(days, "d"), (hours, "h"), (0 if days else minutes, "min")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 min"


PAUSED_LOOK = timedelta(hours=1)
"""How long a paused template's sends are out of the others' way, unless resumed."""

COMMAND_LOOK = timedelta(minutes=10)

Rule = Callable[[Facts], Defer | Skip | None]

ORDER: dict[str, tuple[Rule, ...]] = {
    "not yet": (paused, command_waits),
    "impossible": (consent, reachable, has_template),
    "too late": (in_time,),
    "no sender": (has_sender,),
    "when": (collector, stricter_law, no_send_hours, in_window, on_no_holiday, apart, caps),
}
"""docs/gate.md tells it. What is not to be decided yet comes first: nothing is lost by waiting.
Then what no waiting can mend, then what has waited too long. Whether there is a sender is a
person's doing and no clock's, so it is looked at now and then. The rules that say when come last,
and agree on one moment."""

RULES = tuple(rule for rules in ORDER.values() for rule in rules)

NOT_YET = frozenset(rule.__name__ for rule in ORDER["not yet"])
"""What these put off is not recorded: the journal tells what was paused, and until when."""

_WHEN = ORDER["when"]
_BEFORE = RULES[: -len(_WHEN)]
_SEND = Send()

_ROUNDS = 4 * HORIZON.days
"""Two rules that are never open together pass a day in two rounds."""
