"""The rules that are an account's choice (domain/rules.py): when a send may start.

Each is a pure function of the facts, and is asked again for the moment that another one put the
send off to: so `facts.now` is that moment.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from domain.caps import Cap, counted, free_at
from domain.decision import Defer, Facts, Skip
from domain.hours import Hours, first_allowed, window
from domain.law import LAW_VERSION
from domain.opening import moment

_DAY = timedelta(days=1)
_AFTER_MIDNIGHT = timedelta(hours=1)
"""As late as a message may be to be yesterday's still."""

TOGETHER = timedelta(minutes=10)
"""Steps that a schedule puts closer than this are meant to come together, late or not."""

COLLECTOR = Hours((window(time(8), time(20, 59)),))
"""12 CFR 1006.6(b)(1)(i): before 8:00 a.m. and after 9:00 p.m. is inconvenient. An electronic
message counts when it is sent, and a hand-over takes up to half a minute: so the last minute of the
hour is not begun."""


def collector(facts: Facts) -> Defer | Skip | None:
    """A collector's message starts in the convenient hours of every place that the record names."""
    if not facts.rules.collector:
        return None
    zones = facts.places or (facts.zone,)
    opens = first_allowed(COLLECTOR, zones, facts.now)
    if opens == facts.now:
        return None
    inputs = {"hours": "08:00-21:00", "places": _keys(zones)}
    if opens is None:
        return Skip(
            "collector",
            f"no hour of any day is between 08:00 and 21:00 in all of {_named(zones)}",
            inputs,
        )
    return Defer("collector", opens, inputs)


def stricter_law(facts: Facts) -> Defer | Skip | None:
    """The hours and caps of the jurisdictions that the customer is under."""
    if not facts.laws:
        return None
    zones = facts.places or (facts.zone,)
    for law in facts.laws:
        opens = first_allowed(law.hours, zones, facts.now)
        full = _full(facts, law.caps) if opens == facts.now else None
        if opens == facts.now and full is None:
            continue
        inputs = {"law": law.name, "law_version": LAW_VERSION, "places": _keys(zones)}
        if opens is None:
            reason = f"{law.statute}: no hour of any day is allowed in all of {_named(zones)}"
            return Skip("stricter_law", reason, inputs)
        if full is None:
            return Defer("stricter_law", opens, inputs)
        return Defer("stricter_law", full[1], {**inputs, **_counts(facts, full[0])})
    return None


def no_send_hours(facts: Facts) -> Defer | None:
    """Nothing starts in the hours that the account keeps quiet."""
    quiet = facts.rules.no_send_hours
    if quiet is None:
        return None
    opens = first_allowed(quiet.allowed, (facts.zone,), facts.now)
    if opens is None or opens == facts.now:  # None can't be: some hours are left on every day
        return None
    inputs = {"quiet": f"{_hour(quiet.begin)}-{_hour(quiet.until)}"}
    return Defer("no_send_hours", opens, inputs)


def apart(facts: Facts) -> Defer | None:
    """When late, the messages of one enrolment keep apart: no burst after an outage.

    Those planned for different days of the customer's go out on different days, at the time of day
    that they were planned for; others keep half of what lies between them by the plan, unless that
    is minutes. A last message that was hardly late itself keeps nothing back.
    """
    last, planned = facts.messaged_at, facts.messaged_for
    if last is None or planned is None or not facts.rules.apart:
        return None
    late, between = last - planned, facts.due_at - planned
    if 4 * late <= between or between < TOGETHER:
        return None  # as far apart as planned, or nearly; or meant to come together
    if _day(facts.due_at, facts) == _day(planned, facts):
        until = last + between / 2
    elif late <= _AFTER_MIDNIGHT or _day(facts.now, facts) > _day(last, facts):
        return None
    else:
        until = _next_day(last, facts)
    if until <= facts.now:
        return None
    return Defer("apart", until, {"last": last.isoformat(), "last_planned": planned.isoformat()})


def _next_day(last: datetime, facts: Facts) -> datetime:
    planned = facts.due_at.astimezone(facts.zone).time()
    return moment(datetime.combine(_day(last, facts) + _DAY, planned), facts.zone)


def _day(at: datetime, facts: Facts) -> date:
    return at.astimezone(facts.zone).date()


def caps(facts: Facts) -> Defer | None:
    """At most so many messages in a period that rolls on, over all schedules."""
    if len(facts.recent) < facts.rules.least_cap:
        return None
    full = _full(facts, facts.rules.caps)
    return None if full is None else Defer("caps", full[1], _counts(facts, full[0]))


def _full(facts: Facts, caps: Sequence[Cap]) -> tuple[Cap, datetime] | None:
    """The cap that this send must wait for the longest, and until when."""
    if not caps or not facts.recent:
        return None
    now, channel, reference, recent = (
        facts.now,
        facts.step.channel,
        facts.reference,
        facts.recent,
    )
    waits = [(free_at(cap, now, channel, reference, recent), cap) for cap in caps]
    until, cap = max(waits, key=lambda wait: wait[0])
    return (cap, until) if until > now else None


def _counts(facts: Facts, cap: Cap) -> dict[str, object]:
    return {
        "cap": cap.model_dump(mode="json", by_alias=True, exclude_none=True),
        "counted": len(counted(cap, facts.now, facts.reference, facts.recent)),
    }


def _keys(zones: Sequence[ZoneInfo]) -> list[str]:
    return [zone.key for zone in zones]


def _named(zones: Sequence[ZoneInfo]) -> str:
    keys = _keys(zones)
    return ", ".join(keys[:_NAMED]) + (f" and {len(keys) - _NAMED} more" if keys[_NAMED:] else "")


def _hour(at: time) -> str:
    return f"{at:%H:%M}"


_NAMED = 6
