"""Fallbacks, repeats, lateness that moves what follows, and holidays: through the engine."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from concurrency.parts import answer, start, started
from harness import START, Layby

from domain.message import Answer, Channel, Result
from storage import rescues
from storage.accounts import read_account
from storage.audit import run_audit
from workers.delivery import deliver
from workers.forecasting import Wanted, forecast
from workers.settling import settle_open

EMAIL = {"offset": "P0D", "at": "09:00", "channel": "email", "template": "hello"}
BY_SMS = {"channel": "sms", "template": "nudge"}


def bills(*steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"anchor": "due_date", "steps": list(steps), **fields}


def billed(layby: Layby, schedule: dict[str, Any], due_date: str, **profile: Any) -> None:
    layby.set_up(schedule=schedule)
    layby.add("ann", **{"zone": "UTC", **profile})
    layby.must("activate", customers=["ann"])
    layby.must("assign_schedule", customers=["ann"], schedule="dunning", due_date=due_date)


def due(layby: Layby) -> list[tuple[int, str]]:
    rows = layby.rows("SELECT step, due_at FROM pending ORDER BY enrolment")
    return [(step, at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")) for step, at in rows]


def run_to(layby: Layby, when: datetime) -> None:
    """To each moment that something is due at until then, and deliver."""
    layby.deliver()
    while (at := layby.one("SELECT min(due_at) FROM pending")) is not None and at <= when:
        layby.travel(max(at - layby.now, timedelta(0)))
        layby.deliver()
    layby.travel(max(when - layby.now, timedelta(0)))


def sound(layby: Layby) -> None:
    with layby.engine.connect() as connection:
        found = [one for one in run_audit(connection) if one.found and not one.check.warning]
    assert found == []


def test_who_has_no_address_gets_the_fallback_by_the_same_gate_and_it_is_recorded(
    layby: Layby,
) -> None:
    schedule = bills({**EMAIL, "fallback": BY_SMS}, {**EMAIL, "offset": "P1D"})
    billed(layby, schedule, "2026-01-05", email=None)
    run_to(layby, START + timedelta(days=3))
    assert layby.rows(
        "SELECT step, channel, state, rule, template, decision->>'fallback' FROM sends ORDER BY 1"
    ) == [
        (0, "sms", "sent", "accepted", "nudge", "reachable"),
        (1, "email", "skipped", "reachable", None, None),
    ]
    assert len(layby.texts()) == 1
    sound(layby)


def test_who_can_be_reached_by_neither_channel_is_skipped_once(layby: Layby) -> None:
    billed(layby, bills({**EMAIL, "fallback": BY_SMS}), "2026-01-05", email=None, phone=None)
    run_to(layby, START + timedelta(days=1))
    assert layby.rows("SELECT step, channel, state, rule, detail FROM sends") == [
        (0, "sms", "skipped", "reachable", "the customer has no telephone number")
    ]
    sound(layby)


def test_who_has_opted_out_of_a_channel_gets_the_fallback(layby: Layby) -> None:
    """Consent is given by channel; the step is not cancelled, for it has another way to go."""
    billed(layby, bills({**EMAIL, "fallback": BY_SMS}, {**EMAIL, "offset": "P1D"}), "2026-01-05")
    assert layby.must("opt_out", customers=["ann"], channel="email").cancelled == 0
    run_to(layby, START + timedelta(days=3))
    assert layby.rows(
        "SELECT step, channel, state, rule, decision->>'fallback' FROM sends ORDER BY 1"
    ) == [
        (0, "sms", "sent", "accepted", "consent"),
        (1, "email", "skipped", "consent", None),
    ]
    sound(layby)


@pytest.mark.parametrize("answered", [Answer.TEMPORARY, Answer.NOT_HANDED_OVER])
def test_another_attempt_at_a_fallback_is_a_fallback_still(layby: Layby, answered: Answer) -> None:
    billed(layby, bills({**EMAIL, "fallback": BY_SMS}), "2026-01-05", email=None)
    layby.travel(timedelta(hours=1))
    deliver(layby.delivery, layby.account, Channel.EMAIL)
    start(layby.engine, layby.account, Channel.SMS)
    answer(layby.engine, started(layby.engine, layby.account), answered)
    assert layby.rows("SELECT channel, fallback FROM pending") == [("sms", "reachable")]
    sound(layby)


def test_the_fallback_waits_for_its_window_like_any_send(layby: Layby) -> None:
    """Found impossible in the evening: the other channel's message does not go out then either."""
    schedule = bills({**EMAIL, "fallback": BY_SMS}, window={"from": "09:00", "until": "18:00"})
    billed(layby, schedule, "2026-01-05", email=None)
    layby.travel(timedelta(hours=12))
    layby.deliver()
    assert layby.rows("SELECT channel, deferred FROM pending") == [("sms", "in_window")]
    run_to(layby, START + timedelta(days=1, hours=2))
    assert [(state, rule) for _, state, rule in layby.ledger("ann")] == [("sent", "accepted")]


def test_the_last_step_comes_again_as_often_as_the_schedule_says(layby: Layby) -> None:
    schedule = bills(EMAIL, {**EMAIL, "offset": "P2D"}, repeat={"every": "P7D", "times": 3})
    billed(layby, schedule, "2026-01-05")
    run_to(layby, START + timedelta(days=60))
    assert [at.day for (at,) in layby.rows("SELECT planned_at FROM sends ORDER BY step")] == [
        *(5, 7, 14, 21, 28)
    ]
    assert {state for _, state, _ in layby.ledger("ann")} == {"sent"}
    assert layby.one("SELECT end_reason FROM enrolments") == "completed"
    sound(layby)


def test_a_schedule_that_repeats_names_the_next_due_date_each_month(layby: Layby) -> None:
    """31 January, 28 February, 31 March: months of the calendar, counted from the first."""
    schedule = bills(
        {**EMAIL, "offset": "-P3D", "channel": "sms", "template": "rent"},
        repeat={"every": "P1M", "until": "P2M", "of": "all"},
    )
    layby.set_up()
    rent = {"channel": "sms", "default_language": "en", "texts": {"en": {"text": "{{ due_date }}"}}}
    layby.must("put_template", template="rent", definition=rent)
    layby.must("put_schedule", schedule="dunning", definition=schedule)
    layby.add("ann")
    layby.must("activate", customers=["ann"])
    layby.must("assign_schedule", customers=["ann"], schedule="dunning", due_date="2026-01-31")
    run_to(layby, START + timedelta(days=120))
    assert [text["text"] for text in layby.texts()] == ["2026-01-31", "2026-02-28", "2026-03-31"]
    sound(layby)


def test_a_payment_in_the_middle_of_the_rounds_ends_them(layby: Layby) -> None:
    texted = {**EMAIL, **BY_SMS}
    schedule = bills(texted, {**EMAIL, "offset": "P1D"}, repeat={"every": "P1D", "times": 9})
    billed(layby, schedule, "2026-01-05")
    run_to(layby, START + timedelta(days=3, hours=2))
    sound(layby)
    assert layby.must("record", customers=["ann"], fact={"fact": "payment"}).cancelled == 1
    assert [state for _, state, _ in layby.ledger("ann")] == ["sent"] * 4 + ["cancelled"]
    sound(layby)


REANCHOR = {"when_late": "reanchor", "late_after": "P1D"}


def test_a_late_step_moves_what_follows_it_and_nothing_bursts(layby: Layby) -> None:
    """Ten days of pause: the first goes out on the release, the others as far after it as ever."""
    schedule = bills(*({**EMAIL, "offset": f"P{days}D", **REANCHOR} for days in (0, 3, 7)), ends=[])
    billed(layby, schedule, "2026-01-06")
    layby.must("pause", customers=["ann"])
    layby.travel(timedelta(days=11, hours=6))
    layby.must("resume", customers=["ann"])
    layby.deliver()
    assert len(layby.mails()) == 1
    assert due(layby) == [(1, "2026-01-19 09:00")]
    run_to(layby, START + timedelta(days=40))
    assert [at.day for (at,) in layby.rows("SELECT planned_at FROM sends ORDER BY step")] == [
        *(6, 19, 23)
    ]
    assert layby.one("SELECT decision->>'reanchored' FROM sends WHERE step = 0") == "true"
    sound(layby)


def test_a_due_date_of_another_century_stops_nobodys_sends(layby: Layby) -> None:
    """1926 for 2026: the slip of one pen was more seconds late than the database keeps."""
    schedule = bills(*({**EMAIL, "offset": f"P{days}D", **REANCHOR} for days in (0, 1)))
    billed(layby, schedule, "1926-01-05")
    layby.must(
        "assign_schedule",
        customers=["ann"],
        schedule="dunning",
        reference="i-2",
        due_date="2026-01-05",
    )
    layby.travel(timedelta(hours=2))
    with layby.engine.connect() as connection:
        account = read_account(connection, layby.account)
        assert account is not None
        ahead = list(forecast(connection, account, Wanted(layby.now + timedelta(days=1))))
    layby.deliver()
    assert len(layby.mails()) == 2
    run_to(layby, layby.now + timedelta(days=1))
    assert [one.send.at for one in ahead] == [
        at for (at,) in layby.rows("SELECT business_at FROM sends ORDER BY business_at, enrolment")
    ]
    sound(layby)


def test_what_a_late_step_moves_is_known_to_who_settles_in_its_workers_stead(layby: Layby) -> None:
    """A worker dies with the send in its hands: the rescue reads what is kept of the start."""
    schedule = bills(*({**EMAIL, "offset": f"P{days}D", **REANCHOR} for days in (0, 3)))
    billed(layby, schedule, "2026-01-05")
    layby.travel(timedelta(days=10, hours=2))
    start(layby.engine, layby.account)
    layby.travel(timedelta(days=5))
    with layby.engine.connect() as connection:
        open_ = rescues.open_starts(connection)
    settle_open(layby.engine, open_, Result(Answer.UNKNOWN, "no word"))
    assert [state for _, state, _ in layby.ledger("ann")] == ["unknown"]
    assert due(layby) == [(1, "2026-01-18 09:00")], "ten days, however long the rescue took"


def test_holidays_of_the_account_hold_for_what_is_planned_already(layby: Layby) -> None:
    billed(layby, bills({**EMAIL, "at": "10:00"}), "2026-01-06")
    assert due(layby) == [(0, "2026-01-06 10:00")]
    layby.must("put_account", holidays={"country": "IT"})
    assert due(layby) == [(0, "2026-01-07 10:00")], "Epiphany is a holiday in Italy"
    layby.must("put_account", holidays={"days": ["2026-01-06", "2026-01-07"]})
    assert due(layby) == [(0, "2026-01-08 10:00")]
    layby.must("put_account", holidays={})
    assert due(layby) == [(0, "2026-01-06 10:00")]


def test_nothing_starts_on_a_holiday_even_if_it_was_planned_before_it_was_one(
    layby: Layby,
) -> None:
    billed(layby, bills({**EMAIL, "when_late": "send"}), "2026-01-06")
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("""UPDATE accounts SET holidays = '{"days": ["2026-01-06"]}'""")
    layby.travel(timedelta(days=1, hours=2))
    layby.deliver()
    assert layby.rows("SELECT deferred FROM pending") == [("on_no_holiday",)]
    assert due(layby) == [(0, "2026-01-07 00:00")]
