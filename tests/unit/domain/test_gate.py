"""The gate: each rule alone, their order, and nothing else."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from domain import gate
from domain.decision import Decision, Defer, Facts, Send, Skip
from domain.gate import RULES, decide
from domain.schedule import Late, Schedule

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)  # Monday, 09:00 in Paris
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
BAD = {
    "paused": {"paused": True},
    "command_waits": {"command_waits": True},
    "reachable": {"recipient": None},
    "has_template": {"template_exists": False},
    "in_time": {"due_at": NOW - timedelta(days=2, seconds=1)},
    "has_sender": {"sender": None},
    "in_window": {"zone": ZoneInfo("Europe/London")},
}


def test_nothing_objects_to_a_good_send() -> None:
    assert decide(GOOD) == Send()
    assert [rule(GOOD) for rule in RULES] == [None] * len(RULES)


@pytest.mark.parametrize(
    ("rule", "decision"),
    [
        ("paused", Defer("paused", NOW + timedelta(hours=1))),
        ("command_waits", Defer("command_waits", NOW + timedelta(minutes=10))),
        ("reachable", Skip("reachable", "the customer has no email address")),
        ("has_template", Skip("has_template", "there is no template hello")),
        (
            "in_time",
            Skip("in_time", "2 d late, where 2 d is allowed"),
        ),
        ("has_sender", Defer("has_sender", TEN)),
        ("in_window", Defer("in_window", TEN)),
    ],
)
def test_each_rule_objects_alone(rule: str, decision: Decision) -> None:
    facts = GOOD._replace(**BAD[rule])
    assert decide(facts) == decision
    objecting = [one.__name__ for one in RULES if one(facts) is not None]
    assert objecting == [rule]


def test_a_text_message_needs_a_number() -> None:
    step = SCHEDULE.steps[0].model_copy(update={"channel": "sms"})
    facts = GOOD._replace(step=step, recipient=None)
    assert decide(facts) == Skip("reachable", "the customer has no telephone number")


@pytest.mark.parametrize("first", range(len(RULES)))
def test_first_objection_wins_in_the_rules_order(first: int) -> None:
    """What is not to be decided yet, what makes a send impossible, then too late, then when."""
    names = [rule.__name__ for rule in RULES]
    assert names == [
        *("paused", "command_waits"),
        *("reachable", "has_template", "in_time", "has_sender", "in_window"),
    ]
    facts = GOOD
    for name in names[first:]:
        facts = facts._replace(**BAD[name])
    decision = decide(facts)
    assert not isinstance(decision, Send)
    assert decision.rule == names[first]


def test_a_step_exactly_as_late_as_allowed_is_sent() -> None:
    assert decide(GOOD._replace(due_at=NOW - timedelta(days=2))) == Send()


def test_a_step_that_is_sent_even_late_is_never_too_late() -> None:
    step = SCHEDULE.steps[0].model_copy(update={"when_late": Late.SEND})
    assert decide(GOOD._replace(step=step, due_at=NOW - timedelta(days=500))) == Send()


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
        for name, function in vars(gate).items()
        if callable(function)
        and getattr(function, "__module__", "") == "domain.gate"
        and not isinstance(function, type)
        and name != "decide"
        and not name.startswith("_")
    }
    assert rules == set(RULES)
