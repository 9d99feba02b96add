"""What happened to a customer, in plain words: from the journal, the ledger and what was put off.

Times are on the customer's wall. No personal data: none is kept there.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from domain.suppression import Aim
from ops.fact_words import in_words
from ops.screen import counted

Row = Mapping[str, Any]


def on_the_wall(at: datetime, zone: ZoneInfo) -> str:
    """`Mon 2026-03-30 09:30`."""
    return f"{at.astimezone(zone):%a %Y-%m-%d %H:%M}"


def past(row: Row, zone: ZoneInfo) -> str:
    """One thing that happened, or was decided not to happen, and why."""
    event, data = str(row["event"]), row["data"]
    if event.startswith("send_"):
        return _send(event.removeprefix("send_"), data, row["business_at"], zone)
    fact = in_words(event, data)
    if fact is not None:
        return fact + _who(row)
    say = _EVENTS.get(event, _unnamed)
    return say({**data, "event": event}) + _took(data) + _who(row)


def _who(row: Row) -> str:
    """Who did it, by which command, and why."""
    if not row["command"]:
        return ""
    by = f" (command {row['command']}"
    by += f" from {row['source']}" if row["source"] else ""
    by += f": {row['reason']}" if row["reason"] else ""
    return by + ")"


def _took(data: Row) -> str:
    """What it took out, and what could not be called back."""
    words = ""
    if data.get("cancelled"):
        words += f"; {counted(data['cancelled'], 'reminder')} taken out"
    if data.get("started"):
        words += f"; {counted(data['started'], 'reminder')} had started already"
    return words


def _unnamed(data: Row) -> str:
    known = ("event", "cancelled", "started")
    details = ", ".join(f"{key} {value}" for key, value in data.items() if key not in known)
    return str(data["event"]).replace("_", " ") + (f": {details}" if details else "")


def _for(data: Row) -> str:
    return f" for {data['reference']}" if data.get("reference") else ""


def why_fallback(rule: str) -> str:
    """Why a step did not go by its own channel: the rule that closed it, and what that says."""
    return f"{rule}: {_CLOSED[rule]}" if rule in _CLOSED else rule


_CLOSED = {
    "reachable": "no address or number for the step's own channel",
    "consent": "the step's own channel is not allowed",
    "no_such_recipient": "nobody is at the address for the step's own channel",
}


def _because(data: Row) -> str:
    return f", because {data['because']}" if data.get("because") else ""


def _moved_to_version(data: Row) -> str:
    older = ", ".join(f"v{version}" for version in data["from_versions"])
    ends = data["ended"] and not data["moved"]
    goes_on = "nothing goes on" if ends else "it goes on with what follows the next send"
    if data["moved"]:
        goes_on = f"{counted(data['moved'], 'send')} {'goes' if data['moved'] == 1 else 'go'} on"
    retimed = ", at another moment" if data["retimed"] else ""
    ended = "; it has nothing left, and ends" if data["ended"] else ""
    return f"{data['schedule']} moved from {older} to v{data['version']}: {goes_on}{retimed}{ended}"


def _channels(data: Row) -> str:
    scope = f" of schedule {data['schedule']}" if data.get("schedule") else ""
    return " and ".join(data["channels"]) + scope


def _suppressed(data: Row) -> str:
    return f"suppressed by the provider for {_channels(data)}"


def _opted_in(data: Row) -> str:
    consent = data.get("consent", {})  # erased of who is redacted
    given = " ".join(f"{name} {value}" for name, value in consent.items() if value)
    return f"opted in to {_channels(data)}" + (f", with consent: {given}" if given else "")


_EVENTS: dict[str, Callable[[Row], str]] = {
    "customer_added": lambda data: f"added, in {data['place']}",
    "customer_updated": lambda data: f"profile changed: {', '.join(data['fields'])}",
    "customer_activated": lambda _: "activated: on no schedule yet",
    "customer_reactivated": lambda _: "active again: on no schedule yet",
    "customer_moved": lambda _: "moved to the directory: silence",
    "customer_already_archived": lambda _: "to be moved to the directory, where it was already",
    "customer_paused": lambda data: f"paused{_because(data)}",
    "customer_resumed": lambda data: (
        "resumed after the reply" if data.get("hold") == "replied" else "resumed"
    ),
    "customer_redacted": lambda _: "redacted: who this was is erased; what was done is kept",
    "customer_already_redacted": lambda _: "to be redacted, as it was already",
    "schedule_assigned": lambda data: (
        f"put on schedule {data['schedule']} v{data['version']}{_for(data)}"
    ),
    "schedule_removed": lambda data: f"taken off schedule {data['schedule']}{_for(data)}",
    "schedule_version_moved": _moved_to_version,
    **{f"{aim.value}_blocked": lambda data: f"blocked for {_channels(data)}" for aim in Aim},
    **{f"{aim.value}_unblocked": lambda data: f"unblocked for {_channels(data)}" for aim in Aim},
    **{f"{aim.value}_opted_out": lambda data: f"opted out of {_channels(data)}" for aim in Aim},
    **{f"{aim.value}_opted_in": _opted_in for aim in Aim},
    **{f"{aim.value}_suppressed": _suppressed for aim in Aim},
    **{
        f"{aim.value}_unsuppressed": lambda data: f"reachable again by {_channels(data)}"
        for aim in Aim
    },
}


def _send(state: str, data: Row, at: datetime, zone: ZoneInfo) -> str:
    run = f"{data['schedule']} v{data['version']} step {data['step']}{_for(data)}"
    what = f"{run} by {data['channel']}"
    words = [f"{what}: {_SENDS[state](data, zone)}"]
    planned = datetime.fromisoformat(data["planned_at"]) if data.get("planned_at") else at
    if abs((at - planned).total_seconds()) >= _A_MINUTE and state != "cancelled":
        words.append(f"planned for {on_the_wall(planned, zone)}")
    if data.get("fallback"):
        words.append(f"its fallback ({why_fallback(data['fallback'])})")
    if data.get("reanchored"):
        words.append("what follows moved with it")
    decided = _decided_on(data)
    if decided:
        words.append(f"decided on {decided}")
    return "; ".join(words)


def _put_off(data: Row, zone: ZoneInfo) -> str:
    often = f", the last of {data['times']} times" if data["times"] > 1 else ""
    until = on_the_wall(datetime.fromisoformat(data["until"]), zone)
    return f"put off until {until} by {data['rule']}{often}"


_A_MINUTE = 60

_SENDS: dict[str, Callable[[Row, ZoneInfo], str]] = {
    "started": lambda _, __: "started, no word yet",
    "sent": lambda data, _: f"sent{_text(data)}",
    "failed": lambda data, _: f"failed ({_rule(data)}){_text(data)}",
    "unknown": lambda data, _: f"unknown whether it arrived ({_rule(data)}){_text(data)}",
    "skipped": lambda data, _: f"skipped ({_rule(data)})",
    "cancelled": lambda data, _: f"cancelled ({_rule(data)})",
    "deferred": _put_off,
}


def _rule(data: Row) -> str:
    return f"{data['rule']}{': ' + data['detail'] if data.get('detail') else ''}"


def _text(data: Row) -> str:
    if not data.get("template"):
        return ""
    return f", text {data['template']} v{data['template_version']}"


_TOLD = frozenset(
    {
        "schedule",
        "version",
        "step",
        "channel",
        "reference",
        "rule",
        "detail",
        "template",
        "template_version",
        "provider",
        "planned_at",
        "until",
        "times",
        "last_at",
        "zone",
        "rules",
        "clock",
        "worker",
        "fallback",
        "reanchored",
        "recent",
    }
)
"""What is told elsewhere, or is the same of every decision."""


def _decided_on(data: Row) -> str:
    """The inputs of a decision not to send: hours, places, laws, caps and counts."""
    return ", ".join(
        f"{name.replace('_', ' ')} {_value(value)}"
        for name, value in data.items()
        if name not in _TOLD and value not in (None, [], "")
    )


def _value(value: object) -> str:
    if isinstance(value, list):
        return "/".join(map(str, value))
    if isinstance(value, dict) and "at_most" in value:
        period = value["in"] + (f" per {value['per']}" if "per" in value else "")
        return f"at most {value['at_most']} in {period}"
    if isinstance(value, dict):
        return " ".join(f"{name} {each}" for name, each in value.items())
    return str(value)
