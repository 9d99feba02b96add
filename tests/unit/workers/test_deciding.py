"""Sends that are decided on together: only those between which no rule can tell a difference."""

from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain.decision import Facts
from domain.message import Channel
from domain.schedule import Schedule
from domain.suppression import Aim, Suppression, SuppressionKind
from domain.switch import Paused
from storage.accounts import Account
from storage.starts import Due, Held
from workers.asking import Asking

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
HELD = Held("(0,1)", 1, 1, "ann", 0, NOW, 0, None, None)
DUE = Due(
    held=HELD,
    schedule="late",
    version=1,
    reference="INV-1",
    anchor_date=date(2026, 11, 20),
    anchor_at=None,
    values={},
    name="Ann",
    recipient="ann@example.org",
    zone="Europe/Paris",
    own_zone=None,
    language="fr",
    shift_seconds=0,
    command_waits=False,
    phone="+33612345678",
    country="FR",
    messaged_at=NOW - timedelta(days=3),
    messaged_for=NOW - timedelta(days=3),
    messages=0,
    recent=None,
    any_suppressed=True,
)
PUT_OFF = DUE._replace(held=HELD._replace(deferred="command_waits"))
OTHERWISE: dict[str, Any] = {
    "tid": "(0,2)",
    "enrolment": 2,
    "slot": 2,
    "customer": "bob",
    "step": 1,
    "attempts": 1,
    "planned_at": NOW - timedelta(days=9),
    "deferred": "command_waits",
    "fallback": "reachable",
    "schedule": "later",
    "version": 2,
    "reference": "INV-2",
    "values": {"a": 1},
    "name": "Bob",
    "anchor_date": date(2026, 11, 21),
    "anchor_at": NOW,
    "recipient": None,
    "language": "de",
    "zone": "America/New_York",
    "own_zone": "America/New_York",
    "shift_seconds": 60,
    "command_waits": True,
    "phone": "+12125550123",
    "country": "US",
    "messaged_at": None,
    "messaged_for": None,
    "messages": 1,
    "any_suppressed": False,
    "recent": [("2026-11-24T09:00:00+00:00", "email", "")],
}
FIELDS = [*Held._fields, *(field for field in Due._fields if field != "held")]
STEPS = [
    {"offset": offset, "channel": "email", "template": template, "fallback": FALLBACK}
    for FALLBACK in [{"channel": "sms", "template": "short"}]
    for offset, template in (("PT1H", "hello"), ("PT2H", "again"))
]
SCHEDULES = {
    (name, version): Schedule.model_validate(
        {"anchor": "assigned_at", "steps": STEPS, "zone": zone}
    )
    for name, version, zone in (("late", 1, None), ("late", 2, "Asia/Tokyo"), ("later", 1, "UTC"))
}
OPTED_OUT = Suppression(SuppressionKind.OPTED_OUT, Aim.CUSTOMER, Channel.EMAIL, "")
RULES = ["{}", '{"collector": true}', '{"stricter_law": true}']
AGAINST: list[dict[str, list[Suppression]]] = [{}, {"ann": [OPTED_OUT]}]
DUES = [DUE, DUE._replace(command_waits=True), PUT_OFF]
# What is told one by one is each customer's own, and not asked of these; nor is what it is about,
# where nothing is. A recipient is there or is not.
OF_EACH: dict[str, Any] = {"recipient": "", "reference": "", "recent": ()}


def asking(rules: str, against: dict[str, list[Suppression]]) -> Asking:
    account = Account(
        "acme", "Acme", "UTC", None, "en", "a@acme.example", None, None, NOW, rules, 1, None
    )
    paused = Paused(frozenset())
    return Asking(account, Channel.EMAIL, {}, paused, against)


def facts_of(asked: Asking, due: Due) -> Facts:
    schedule = SCHEDULES[due.schedule, due.version]
    facts = asked.facts(due, schedule, schedule.step_at(due.step), NOW)
    return facts._replace(**OF_EACH | {"recipient": facts.recipient and ""})


@pytest.mark.parametrize("field", FIELDS)
def test_sends_with_other_facts_are_not_alike(field: str) -> None:
    for rules, against, due in product(RULES, AGAINST, DUES):
        other = (
            due._replace(held=due.held._replace(**{field: OTHERWISE[field]}))
            if field in Held._fields
            else due._replace(**{field: OTHERWISE[field]})
        )
        asked = asking(rules, against)
        if facts_of(asked, due) != facts_of(asked, other):
            assert asked.alike(due) != asked.alike(other)


def test_customers_of_one_zone_and_hour_are_alike() -> None:
    other = DUE._replace(
        held=HELD._replace(enrolment=2, slot=2, customer="bob", tid="(0,2)"),
        **{field: OTHERWISE[field] for field in ("name", "reference", "values", "phone")},
        recipient="bob@example.org",
    )
    assert asking("{}", {}).alike(DUE) == asking("{}", {}).alike(other)


def test_every_field_of_a_due_send_is_tried_otherwise() -> None:
    assert set(OTHERWISE) == set(FIELDS)
    assert ZoneInfo(OTHERWISE["zone"]) != ZoneInfo(str(DUE.zone))
