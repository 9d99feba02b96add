"""What happened, in plain words: who did it, by which rule, and on what it was decided."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ops.story import past

PARIS = ZoneInfo("Europe/Paris")
AT = datetime(2026, 3, 30, 8, 0, tzinfo=UTC)
DONE = {"schedule": "dunning", "version": 2, "step": 3, "channel": "sms", "planned_at": str(AT)}
WHAT = "dunning v2 step 3 by sms: "


def said(event: str, data: dict[str, Any], **more: Any) -> str:
    row = {"event": event, "data": data, "business_at": AT, "command": None, **more}
    return past({"source": None, "reason": None, **row}, PARIS)


@pytest.mark.parametrize(
    ("state", "data", "words"),
    [
        ("sent", {"template": "nudge", "template_version": 4}, "sent, text nudge v4"),
        (
            "skipped",
            {"rule": "in_time", "detail": "3 d late"},
            "skipped (in_time: 3 d late)",
        ),
        ("cancelled", {"rule": "moved", "detail": None}, "cancelled (moved)"),
        (
            "unknown",
            {"rule": "unknown", "detail": None, "template": "nudge", "template_version": 1},
            "unknown whether it arrived (unknown), text nudge v1",
        ),
        (
            "deferred",
            {
                "rule": "caps",
                "until": "2026-04-02T07:15:00+00:00",
                "times": 3,
                "cap": {"at_most": 2, "in": "P7D"},
                "counted": 2,
                "zone": "Europe/Paris",
            },
            (
                "put off until Thu 2026-04-02 09:15 by caps, the last of 3 times; decided on cap "
                "at most 2 in P7D, counted 2"
            ),
        ),
        (
            "sent",
            {
                "template": None,
                "planned_at": "2026-03-27T08:30:00+00:00",
                "fallback": "reachable",
                "reanchored": True,
            },
            (
                "sent; planned for Fri 2026-03-27 09:30; its fallback (reachable: no address or "
                "number for the step's own channel); what follows moved with it"
            ),
        ),
    ],
)
def test_send_is_told_with_its_rule_and_its_inputs(
    state: str, data: dict[str, Any], words: str
) -> None:
    assert said(f"send_{state}", {**DONE, **data}) == WHAT + words


@pytest.mark.parametrize(
    ("event", "data", "words"),
    [
        ("customer_added", {"place": "reserve"}, "added, in reserve"),
        (
            "customer_moved",
            {"cancelled": 1, "started": 2},
            (
                "moved to the directory: silence; 1 reminder taken out; 2 reminders had started "
                "already"
            ),
        ),
        (
            "customer_paused",
            {"because": "the directory is full"},
            "paused, because the directory is full",
        ),
        ("schedule_assigned", {"schedule": "rent", "version": 3}, "put on schedule rent v3"),
        (
            "schedule_assigned",
            {"schedule": "rent", "version": 3, "reference": "i-1"},
            "put on schedule rent v3 for i-1",
        ),
        (
            "schedule_version_moved",
            {
                "schedule": "rent",
                "version": 3,
                "from_versions": [1, 2],
                "moved": 0,
                "retimed": 0,
                "ended": 1,
            },
            "rent moved from v1, v2 to v3: nothing goes on; it has nothing left, and ends",
        ),
        (
            "schedule_version_moved",
            {
                "schedule": "rent",
                "version": 3,
                "from_versions": [1],
                "moved": 0,
                "retimed": 0,
                "ended": 0,
                "cancelled": 1,
            },
            (
                "rent moved from v1 to v3: it goes on with what follows the next send; "
                "1 reminder taken out"
            ),
        ),
        ("customer_blocked", {"channels": ["email", "sms"]}, "blocked for email and sms"),
        (
            "number_opted_out",
            {"channels": ["sms"], "schedule": "rent"},
            "opted out of sms of schedule rent",
        ),
        ("customer_resumed", {"hold": "replied"}, "resumed after the reply"),
        (
            "invoice_recorded",
            {"reference": "i-1", "moved": 1},
            "invoice i-1 recorded; 1 schedule moved by its due date",
        ),
        ("payment_recorded", {"full": False, "moved": 2}, "paid in part; 2 schedules put off"),
        ("promise_broken", {}, "the promise was not kept, and holds nothing any more"),
        ("something_new", {"more": 1}, "something new: more 1"),
    ],
)
def test_what_happened_is_told_in_words(event: str, data: dict[str, Any], words: str) -> None:
    assert said(event, data) == words


def test_who_did_it_is_told_with_the_command_and_the_reason() -> None:
    told = said("customer_resumed", {}, command="m-1", source="crm", reason="asked for it")
    assert told == "resumed (command m-1 from crm: asked for it)"
