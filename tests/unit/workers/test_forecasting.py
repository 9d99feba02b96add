"""What is foreseen is what then happens: the forecast beside the engine, moment by moment."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from concurrency.parts import answer, start, started
from harness import Layby

from domain.forecast import Outlook
from domain.message import Answer
from storage.accounts import read_account
from storage.travels import next_moment
from workers.forecasting import Ahead, Wanted, forecast

BEGINS = datetime(2026, 3, 26, 6, 0, tzinfo=UTC)
"""Paris's clocks go forward on 29 March, Lord Howe's back on 5 April; 6 April is Easter Monday."""

AHEAD = timedelta(days=14)
ZONES = (
    "Europe/Paris",
    "America/New_York",
    "Africa/Cairo",
    "Australia/Lord_Howe",
)
SCHEDULES: dict[str, dict[str, Any]] = {
    "dunning": {
        "anchor": "due_date",
        "steps": [
            {"offset": "-P3D", "at": "09:30", "channel": "email", "template": "hello"},
            {
                "offset": "P1D",
                "at": "10:00",
                "channel": "sms",
                "template": "nudge",
                "fallback": {"channel": "email", "template": "hello"},
            },
            {
                "business_days": 5,
                "at": "17:45",
                "channel": "email",
                "template": "hello",
                "late_after": "PT1H",
                "when_late": "reanchor",
            },
        ],
        "repeat": {"every": "P3D", "times": 4},
        "window": {
            "weekdays": ["mon", "tue", "wed", "thu", "fri"],
            "from": "09:00",
            "until": "18:00",
        },
        "holidays": {"country": "FR"},
    },
    "watch": {
        "anchor": "assigned_at",
        "steps": [
            {"offset": "PT0S", "channel": "email", "template": "hello", "when_late": "send"},
            {"offset": "PT5H", "channel": "sms", "template": "nudge", "late_after": "PT2H"},
            {"offset": "P2D", "at": "02:30", "channel": "email", "template": "not-there"},
        ],
        "repeat": {"every": "P4D", "times": 5, "of": "all"},
        "window": {"from": "02:30", "until": "19:00"},
        "holidays": "none",
    },
    "rent": {
        "anchor": "due_date",
        "steps": [
            {
                "offset": "-P10D",
                "at": "02:30",
                "channel": "sms",
                "template": "nudge",
                "late_after": "P1D",
                "when_late": "skip",
            },
            {
                "offset": "P0D",
                "at": "02:30",
                "channel": "email",
                "template": "hello",
                "late_after": "PT0S",
                "when_late": "reanchor",
            },
            {"offset": "P7D", "at": "23:15", "channel": "email", "template": "hello"},
        ],
    },
}
OVERDUE = {
    "anchor": "due_date",
    "steps": [
        {
            "offset": f"P{days}D",
            "at": "10:00",
            "channel": "email",
            "template": "hello",
            "when_late": "send",
        }
        for days in range(4)
    ],
}
"""Nothing of it is too late to be sent, and all of it is late: it comes apart."""

PROFILES: tuple[dict[str, Any], ...] = ({}, {"phone": None}, {"email": None})


def foreseen(layby: Layby, wanted: Wanted | None = None) -> list[Ahead]:
    with layby.engine.connect() as connection:
        account = read_account(connection, layby.account)
        assert account is not None
        return list(forecast(connection, account, wanted or Wanted(layby.now + AHEAD)))


Line = tuple[str, str, int, str, str, datetime | None, str | None]


def told(ahead: list[Ahead]) -> list[Line]:
    """Customer, reference, cursor, state, channel, moment, rule."""
    return sorted(
        (
            one.customer,
            one.reference,
            one.send.cursor,
            one.send.outlook.value,
            one.send.channel.value,
            one.send.at,
            one.send.rule,
        )
        for one in ahead
        if one.send.outlook in (Outlook.SENT, Outlook.SKIPPED)
    )


def happened(layby: Layby) -> list[Line]:
    """But for what a command took out before it was foreseen."""
    rows = layby.rows(
        "SELECT s.customer, e.reference, s.step, s.state, s.channel, s.business_at, "
        "CASE s.state WHEN 'sent' THEN NULL ELSE s.rule END "
        "FROM sends s JOIN enrolments e USING (account, enrolment) "
        "WHERE s.state <> 'cancelled'"
    )
    return sorted(rows)


def travel(layby: Layby, by: timedelta) -> None:
    """As time passes: to each moment at which something is due, and no further at once."""
    until = layby.now + by
    while True:
        layby.deliver()
        with layby.engine.connect() as connection:
            following = next_moment(connection, layby.account, layby.now)
        if following is None or following > until:
            break
        layby.travel(following - layby.now)
    layby.travel(until - layby.now)


def crowd(layby: Layby) -> Iterator[str]:
    """Customers in many zones, reachable in every way, on each schedule, some of them late."""
    dice = Random(4)
    for number, zone in enumerate((ZONES * 2)[:6]):
        name = f"c-{number}"
        profile = {"zone": zone, **PROFILES[number % 3]}
        layby.add(name, **profile)
        layby.must("activate", customers=[name])
        for schedule, definition in SCHEDULES.items():
            day = date(2026, 3, 22) + timedelta(days=dice.randrange(14))
            fields = {"due_date": day} if definition["anchor"] == "due_date" else {}
            layby.must(
                "assign_schedule",
                customers=[name],
                schedule=schedule,
                reference=f"{schedule}-{number}",
                **fields,
            )
        yield name
    layby.must("put_schedule", schedule="overdue", definition=OVERDUE)
    layby.must(
        "assign_schedule", customers=["c-2", "c-3"], schedule="overdue", due_date=date(2026, 3, 20)
    )


@pytest.fixture
def busy(layby: Layby) -> Layby:
    layby.now = BEGINS
    layby.set_up()
    for name, definition in SCHEDULES.items():
        layby.must("put_schedule", schedule=name, definition=definition)
    return layby


RULES = {
    "no_send_hours": {"from": "17:00", "until": "09:15"},
    "collector": True,
    "caps": [{"at_most": 3, "in": "P7D"}, {"at_most": 1, "in": "PT20H", "channel": "sms"}],
}


@pytest.mark.parametrize("rules", [{}, RULES], ids=["as it comes", "with every rule on"])
def test_what_is_foreseen_is_what_then_happens(busy: Layby, rules: dict[str, Any]) -> None:
    """Through changes of the clocks and a holiday, in every zone, on both channels."""
    busy.must("put_account", rules=rules)
    names = list(crowd(busy))
    busy.must("pause", customers=names[:2])
    busy.must("opt_out", customers=names[2:3], channel="email", schedule="watch")
    busy.must("block", customers=names[4:5], channel="sms")
    promise = {"fact": "promise", "until": "2026-04-01"}
    busy.must("record", customers=names[5:], fact=promise)
    ahead = foreseen(busy)
    held = [one.customer for one in ahead if one.send.outlook is Outlook.HELD]
    assert held == [name for name in (*names[:2], *names[5:]) for _ in SCHEDULES]
    for _ in range(AHEAD.days):
        travel(busy, timedelta(days=1))
    assert told(ahead) == happened(busy)
    assert put_off(ahead) == was_put_off(busy)
    assert {(rule, state) for _, _, _, state, _, _, rule in told(ahead)} >= {
        (None, "sent"),
        ("in_time", "skipped"),
        ("has_template", "skipped"),
        ("consent", "skipped"),
    }


def put_off(ahead: list[Ahead]) -> list[Any]:
    """Customer, reference, cursor, rule, until when the last time."""
    last = {
        (one.customer, one.reference, one.send.cursor, each.rule): each.until
        for one in ahead
        for each in one.send.put_off
    }
    return sorted((*key, until) for key, until in last.items())


def was_put_off(layby: Layby) -> list[Any]:
    return sorted(
        layby.rows(
            "SELECT d.customer, e.reference, d.step, d.rule, d.until "
            "FROM deferrals d JOIN enrolments e USING (account, enrolment)"
        )
    )


def test_what_a_late_step_moves_is_foreseen_when_it_comes(layby: Layby) -> None:
    """By hours: no day lies between them, and none is waited for."""
    step = {"channel": "email", "template": "hello", "late_after": "PT1H", "when_late": "reanchor"}
    steps = [{"offset": f"PT{hours}H", **step} for hours in (0, 8, 10)]
    layby.set_up(schedule={"anchor": "assigned_at", "steps": steps})
    layby.on_schedule("ann")
    layby.travel(timedelta(hours=30))
    at_first = told(foreseen(layby))
    start(layby.engine, layby.account)
    assert [line[2:] for line in told(foreseen(layby))] == [line[2:] for line in at_first[1:]]
    answer(layby.engine, started(layby.engine, layby.account), Answer.ACCEPTED)
    travel(layby, timedelta(days=2))
    assert [(line[2], line[5]) for line in happened(layby)] == [
        (line[2], line[5]) for line in at_first
    ]
