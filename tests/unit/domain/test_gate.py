"""The gate: each rule alone, their order, and nothing else."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from domain import gate, policy
from domain.calendar import Calendar, Holidays
from domain.caps import Recent
from domain.consent import consent
from domain.decision import Decision, Defer, Divert, Facts, Send, Skip
from domain.gate import NOT_YET, ORDER, RULES, decide
from domain.law import LAWS
from domain.message import Channel
from domain.rules import Rules
from domain.schedule import Schedule
from domain.step import Late
from domain.suppression import Aim, Suppression, SuppressionKind
from domain.window import Weekday, Window

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)  # Monday, 09:00 in Paris
TUESDAY_NINE = datetime(2026, 1, 6, 8, 0, tzinfo=UTC)
TEN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SCHEDULE = Schedule.model_validate(
    {
        "anchor": "assigned_at",
        "steps": [{"offset": "PT0S", "channel": "email", "template": "hello"}],
        "window": {"from": "09:00", "until": "18:00"},
    }
)
GOOD = Facts(
    now=NOW,
    due_at=NOW,
    schedule=SCHEDULE,
    step=SCHEDULE.steps[0],
    zone=PARIS,
    recipient="ann@example.org",
    template_exists=True,
    sender="billing@acme.example",
)
TEXTS = next(law for law in LAWS if law.name == "US-CT")._replace(name="here")
OPTED_OUT = Suppression(SuppressionKind.OPTED_OUT, Aim.CUSTOMER, Channel.EMAIL, "")
BAD: dict[str, dict[str, object]] = {
    "paused": {"paused": True},
    "command_waits": {"command_waits": True},
    "consent": {"suppressions": (OPTED_OUT,)},
    "reachable": {"recipient": None},
    "has_template": {"template_exists": False},
    "in_time": {"due_at": NOW - timedelta(days=2, seconds=1)},
    "has_sender": {"sender": None},
    "collector": {
        "rules": Rules(collector=True),
        "places": (PARIS, ZoneInfo("Atlantic/Azores")),
    },
    "stricter_law": {"laws": (TEXTS,), "places": (PARIS, ZoneInfo("Atlantic/Azores"))},
    "no_send_hours": {
        "rules": Rules.model_validate({"no_send_hours": {"from": "20:00", "until": "09:01"}})
    },
    "in_window": {"zone": ZoneInfo("Europe/London")},
    "on_no_holiday": {"calendar": Calendar(Holidays(days=(NOW.date(),)))},
    "apart": {"messaged_at": NOW, "messaged_for": NOW - timedelta(days=1)},
    "caps": {
        "rules": Rules.model_validate({"caps": [{"at_most": 1, "in": "P1D"}]}),
        "recent": (Recent(NOW - timedelta(hours=5), "sms", "r"),),
    },
}
EVERY_RULE = Rules.model_validate(
    {
        "collector": True,
        "no_send_hours": {"from": "20:00", "until": "09:01"},
        "caps": [{"at_most": 1, "in": "P1D"}],
    }
)


def test_nothing_objects_to_a_good_send() -> None:
    assert decide(GOOD) == Send()
    assert [rule(GOOD) for rule in RULES] == [None] * len(RULES)


@pytest.mark.parametrize(
    ("rule", "decision"),
    [
        ("paused", Defer("paused", NOW + timedelta(hours=1))),
        ("command_waits", Defer("command_waits", NOW + timedelta(minutes=10))),
        ("consent", Skip("consent", "the customer has opted out of email", by_channel=True)),
        ("reachable", Skip("reachable", "the customer has no email address", by_channel=True)),
        ("has_template", Skip("has_template", "there is no template hello")),
        (
            "in_time",
            Skip("in_time", "2 d late, where 2 d is allowed"),
        ),
        ("has_sender", Defer("has_sender", TEN)),
        ("collector", Defer("collector", TEN)),
        ("stricter_law", Defer("stricter_law", TEN + timedelta(hours=1))),
        ("no_send_hours", Defer("no_send_hours", NOW + timedelta(minutes=1))),
        ("in_window", Defer("in_window", TEN)),
        ("on_no_holiday", Defer("on_no_holiday", TUESDAY_NINE)),
        ("apart", Defer("apart", NOW + timedelta(days=1))),
        # Nineteen hours later it is the middle of the night there.
        ("caps", Defer("caps", NOW + timedelta(days=1))),
    ],
)
def test_each_rule_objects_alone(rule: str, decision: Decision) -> None:
    facts = GOOD._replace(**BAD[rule])  # type: ignore[arg-type]
    decided = decide(facts)
    if isinstance(decided, Defer | Skip):
        decided = decided._replace(inputs={})
    assert decided == decision
    objecting = [one.__name__ for one in RULES if one(facts) is not None]
    assert objecting == [rule]


def test_a_text_message_needs_a_number() -> None:
    step = SCHEDULE.steps[0].model_copy(update={"channel": "sms"})
    facts = GOOD._replace(step=step, recipient=None)
    assert decide(facts) == Skip(
        "reachable", "the customer has no telephone number", by_channel=True
    )


@pytest.mark.parametrize("first", range(len(RULES)))
def test_first_objection_wins_in_the_rules_order(first: int) -> None:
    """What is not to be decided yet, what makes a send impossible, then too late, then when."""
    facts, names = GOOD, [rule.__name__ for rule in RULES]
    for name in names[first:]:
        facts = facts._replace(**BAD[name])  # type: ignore[arg-type]
    if {"collector", "no_send_hours", "caps"} & set(names[first:]):
        kept = {name: value for name, value in EVERY_RULE if name in (*names[first:], "apart")}
        facts = facts._replace(rules=Rules(**kept))
    decision = decide(facts)
    assert not isinstance(decision, Send)
    assert decision.rule == names[first]


def test_order_is_the_one_that_the_page_documents() -> None:
    """docs/gate.md: every rule, in the order in which they are asked, each told by its stage."""
    page = Path(__file__).parents[3] / "docs" / "gate.md"
    rows = re.findall(r"^\| ([a-z ]+) \| `([a-z_]+)` \|", page.read_text("utf-8"), re.MULTILINE)
    assert rows == [(stage, rule.__name__) for stage, rules in ORDER.items() for rule in rules]


def test_what_is_not_yet_decided_is_what_a_resume_brings_forward() -> None:
    assert {"paused", "command_waits"} == NOT_YET


def test_what_is_forbidden_on_one_channel_is_sent_by_another() -> None:
    assert decide(GOOD._replace(suppressions=(OPTED_OUT._replace(channel=Channel.SMS),))) == Send()


def test_a_step_exactly_as_late_as_allowed_is_sent() -> None:
    assert decide(GOOD._replace(due_at=NOW - timedelta(days=2))) == Send()


@pytest.mark.parametrize(("seconds", "sent"), [(1, True), (59.9, True), (60, False)])
def test_a_step_that_allows_no_lateness_has_the_minute_that_a_start_takes(
    seconds: float,
    sent: bool,  # noqa: FBT001 - a row of a table
) -> None:
    """On a test clock it starts at the very moment, and on a live one a second later at best."""
    step = SCHEDULE.steps[0].model_copy(update={"late_after": timedelta(0)})
    at = GOOD._replace(step=step, due_at=NOW - timedelta(seconds=seconds))
    assert isinstance(decide(at), Send) is sent


def test_a_step_that_is_sent_even_late_is_never_too_late() -> None:
    step = SCHEDULE.steps[0].model_copy(update={"when_late": Late.SEND})
    assert decide(GOOD._replace(step=step, due_at=NOW - timedelta(days=500))) == Send()


def test_a_step_that_reanchors_is_never_too_late() -> None:
    """What follows it is planned from when it is sent: planning.shift_of."""
    step = SCHEDULE.steps[0].model_copy(update={"when_late": Late.REANCHOR})
    assert decide(GOOD._replace(step=step, due_at=NOW - timedelta(days=500))) == Send()


def test_a_step_whose_channel_is_impossible_goes_to_its_fallback_once() -> None:
    """There the same rules decide; and what is impossible there is not sent."""
    facts = GOOD._replace(recipient=None)
    assert decide(facts._replace(fallback=Channel.SMS)) == Divert("reachable", Channel.SMS)
    assert isinstance(decide(facts._replace(fallback=None)), Skip)


def test_what_no_channel_could_mend_is_not_sent_by_the_fallback() -> None:
    """Too late is too late by any channel."""
    late = GOOD._replace(due_at=NOW - timedelta(days=9), fallback=Channel.SMS)
    assert isinstance(decide(late), Skip)


def test_a_holiday_that_never_ends_does_not_hold_a_send_for_ever() -> None:
    """Sundays only, and each is a holiday: then the window alone counts."""
    schedule = SCHEDULE.model_copy(update={"window": Window(weekdays=frozenset({Weekday.SUN}))})
    sunday = NOW - timedelta(days=1)
    sundays = tuple(sunday.date() + n * timedelta(weeks=1) for n in range(-60, 600))
    facts = GOOD._replace(
        now=sunday, due_at=sunday, schedule=schedule, calendar=Calendar(Holidays(days=sundays))
    )
    assert decide(facts) == Send()


@pytest.mark.parametrize(
    ("hour", "starts"), [(7, False), (8, True), (16, True), (17, False), (23, False)]
)
def test_nothing_starts_in_closed_hours_of_the_customers_day(hour: int, *, starts: bool) -> None:
    """09:00 to 18:00 in Paris is 08:00 to 17:00 in UTC."""
    now = NOW.replace(hour=hour)
    decision = decide(GOOD._replace(now=now, due_at=now))
    assert isinstance(decision, Send if starts else Defer)
    if isinstance(decision, Defer):
        assert decision.until > now
        assert decide(GOOD._replace(now=decision.until, due_at=now)) == Send()


def test_every_rule_of_the_module_is_in_the_list() -> None:
    rules = {
        function
        for module in (gate, policy)
        for name, function in vars(module).items()
        if callable(function)
        and getattr(function, "__module__", "") == module.__name__
        and not isinstance(function, type)
        and name != "decide"
        and not name.startswith("_")
    }
    assert rules | {consent} == set(RULES)
