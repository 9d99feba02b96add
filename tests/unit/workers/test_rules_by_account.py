"""An account's rules at work: caps over everything, records of every decision, and no burst."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from concurrency.parts import answer, start, started
from harness import Layby
from sqlalchemy import event

from domain.commands import UnreadableCommandError, read_command
from domain.message import Answer
from domain.switch import Scope, Switch
from storage import retention
from storage.retention import Place
from workers import switches

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ONE_A_WEEK: dict[str, Any] = {"caps": [{"at_most": 1, "in": "P7D"}]}


def schedule(*offsets: str, **step: Any) -> dict[str, Any]:
    """Emails at these offsets from the assignment."""
    emails = {"channel": "email", "template": "hello", **step}
    return {"anchor": "assigned_at", "steps": [{"offset": offset, **emails} for offset in offsets]}


def assign(layby: Layby, *references: str) -> None:
    for reference in references:
        layby.must("assign_schedule", customers=["ann"], schedule="dunning", reference=reference)


@pytest.fixture
def ann(layby: Layby) -> Layby:
    """Active, on nothing yet; the schedule has a step at once and one a day later."""
    layby.set_up(schedule=schedule("PT0S", "P1D"))
    layby.add("ann")
    layby.must("activate", customers=["ann"])
    return layby


def records(layby: Layby, table: str = "sends") -> list[dict[str, Any]]:
    order = "recorded_at" if table == "deferrals" else "settled_at"
    found = layby.rows(f"SELECT decision FROM {table} ORDER BY {order}, step")
    return [decision for (decision,) in found]


def test_cap_counts_over_schedules_and_the_batch_itself(ann: Layby) -> None:
    ann.must("put_account", rules=ONE_A_WEEK)
    ann.must("put_schedule", schedule="other", definition=schedule("PT0S"))
    assign(ann, "a", "b")
    ann.must("assign_schedule", customers=["ann"], schedule="other")
    ann.deliver()
    assert len(ann.mails()) == 1
    assert ann.rows("SELECT DISTINCT due_at, deferred FROM pending WHERE step = 0") == [
        (ann.now + 7 * DAY, "caps")
    ]
    ann.travel(7 * DAY - timedelta(seconds=1))
    ann.deliver()
    assert len(ann.mails()) == 1
    ann.travel(timedelta(seconds=1))
    ann.deliver()
    assert len(ann.mails()) == 1, "seven days late is too late by the step's rule"
    assert {rule for _, state, rule in ann.ledger("ann") if state == "skipped"} == {"in_time"}


def test_cap_is_free_again_by_each_customers_own_messages(ann: Layby) -> None:
    """Two that are alike but for that, in one batch."""
    ann.must("put_account", rules=ONE_A_WEEK)
    ann.must("put_schedule", schedule="other", definition=schedule("PT0S"))
    ann.add("bob")
    ann.must("activate", customers=["bob"])
    first = {}
    for name in ("ann", "bob"):
        ann.travel(HOUR)
        first[name] = ann.now
        ann.must("assign_schedule", customers=[name], schedule="other")
        ann.deliver()
    ann.must("assign_schedule", customers=["ann", "bob"], schedule="dunning")
    ann.deliver()
    put_off = dict(ann.rows("SELECT customer, due_at FROM pending WHERE deferred = 'caps'"))
    assert put_off == {name: at + 7 * DAY for name, at in first.items()}


def test_cap_of_a_channel_leaves_the_other_alone(ann: Layby) -> None:
    ann.must("put_account", rules={"caps": [{"at_most": 1, "in": "P7D", "channel": "email"}]})
    texts = schedule("PT0S", channel="sms", template="nudge")
    ann.must("put_schedule", schedule="texts", definition=texts)
    assign(ann, "a", "b")
    ann.must("assign_schedule", customers=["ann"], schedule="texts")
    ann.deliver()
    assert (len(ann.mails()), len(ann.texts())) == (1, 1)


def test_cap_of_a_debt_counts_its_reference_over_all_schedules(ann: Layby) -> None:
    ann.must("put_account", rules={"caps": [{"at_most": 1, "in": "P7D", "per": "debt"}]})
    ann.must("put_schedule", schedule="other", definition=schedule("PT0S"))
    assign(ann, "a", "b")
    ann.must("assign_schedule", customers=["ann"], schedule="other", reference="a")
    ann.deliver()
    assert len(ann.mails()) == 2
    assert ann.rows("SELECT count(*) FROM pending WHERE deferred = 'caps'") == [(1,)]


def test_cap_counts_what_the_customer_had_before_it_was_parked(ann: Layby) -> None:
    ann.must("put_account", rules=ONE_A_WEEK)
    assign(ann, "a")
    ann.deliver()
    ann.must("move_to_directory", customers=["ann"])
    ann.must("reactivate", customers=["ann"])
    assign(ann, "a")
    ann.deliver()
    assert len(ann.mails()) == 1


def test_cap_turned_on_counts_what_was_sent_before_it(ann: Layby) -> None:
    assign(ann, "a")
    ann.deliver()
    ann.must("put_account", rules=ONE_A_WEEK)
    assign(ann, "b")
    ann.deliver()
    assert len(ann.mails()) == 1


@pytest.mark.parametrize(
    ("word", "counts"),
    [
        (Answer.ACCEPTED, True),
        (Answer.UNKNOWN, True),
        (None, True),
        (Answer.PERMANENT, False),
        (Answer.TEMPORARY, False),
        (Answer.NOT_HANDED_OVER, False),
    ],
)
def test_cap_counts_what_went_out_or_may_have(
    ann: Layby, word: Answer | None, *, counts: bool
) -> None:
    """In progress, and unknown, may have; what was refused has not."""
    ann.must("put_account", rules=ONE_A_WEEK)
    assign(ann, "a")
    start(ann.engine, ann.account)
    if word is not None:
        answer(ann.engine, started(ann.engine, ann.account), word)
    ann.must("put_schedule", schedule="other", definition=schedule("PT0S"))
    ann.must("assign_schedule", customers=["ann"], schedule="other")
    start(ann.engine, ann.account)
    put_off = ann.one("SELECT count(*) FROM pending WHERE deferred = 'caps' AND step = 0")
    assert put_off == (1 if counts or word is Answer.NOT_HANDED_OVER else 0)


def test_step_that_is_tried_again_counts_once(ann: Layby) -> None:
    ann.must("put_account", rules=ONE_A_WEEK)
    assign(ann, "a")
    for _ in range(3):
        start(ann.engine, ann.account)
        answer(ann.engine, started(ann.engine, ann.account), Answer.TEMPORARY)
        ann.travel(HOUR)
    ann.deliver()
    assert len(ann.mails()) == 1


def test_start_of_an_account_with_caps_takes_no_more_round_trips(ann: Layby) -> None:
    """And one without caps does not look for messages at all."""
    said: list[str] = []
    event.listen(ann.engine, "before_cursor_execute", lambda *given: said.append(given[2]))

    def statements(reference: str) -> list[str]:
        assign(ann, reference)
        said.clear()
        start(ann.engine, ann.account)
        return list(said)

    statements("a")  # reads what is then kept: the schedule and the template
    without = statements("b")
    assert not any("json_agg" in statement for statement in without)
    ann.must("put_account", rules={"caps": [{"at_most": 9, "in": "P7D"}]})
    assert len(statements("c")) == len(without)


def test_decision_is_recorded_with_rule_versions_and_clock(ann: Layby) -> None:
    """G9: of what was sent, skipped and put off."""
    ann.must("update_customer", customers=["ann"], profile={"phone": "+33612345678"})
    ann.must("put_account", rules={"collector": True, **ONE_A_WEEK}, zone="Europe/Paris")
    assign(ann, "a", "b")
    ann.deliver()
    common = {"schedule": "dunning", "version": 1, "zone": "Europe/Paris", "rules": 1}
    common |= {"clock": "test"}
    sent = {"rule": "send", "places": ["Europe/Paris"], "recent": 0, **common}
    assert records(ann) == [sent]
    cap = {"at_most": 1, "in": "P7D", "per": "customer"}
    why = {"cap": cap, "counted": 1, "recent": 1}
    (put_off,) = records(ann, "deferrals")
    assert put_off == {"rule": "caps", "template": "hello", "template_version": 1} | why | common
    ann.travel(3 * DAY)
    ann.must("update_customer", customers=["ann"], profile={"email": None})
    ann.travel(5 * DAY)
    ann.deliver()
    skipped = records(ann)[1]
    assert skipped == {
        "rule": "reachable",
        "template": "hello",
        "template_version": 1,
        "recent": 0,
        **common,
    }


def test_failed_and_unknown_keep_the_decision_that_they_started_by(ann: Layby) -> None:
    assign(ann, "a", "b")
    start(ann.engine, ann.account)
    opens = started(ann.engine, ann.account)
    answer(ann.engine, opens[:1], Answer.PERMANENT)
    answer(ann.engine, opens[1:], Answer.UNKNOWN)
    assert [record["rule"] for record in records(ann)] == ["send", "send"]


def test_what_is_put_off_again_and_again_is_one_record(ann: Layby) -> None:
    """With its first and its last time; what an operator paused has none."""
    ann.must("put_account", rules={"no_send_hours": {"from": "07:00", "until": "09:30"}})
    assign(ann, "a")
    for _ in range(3):
        ann.deliver()
        ann.travel(DAY)
    first, last = ann.now - 3 * DAY, ann.now - DAY
    assert ann.rows("SELECT rule, times, first_at, last_at, until FROM deferrals") == [
        ("no_send_hours", 3, first, last, last + 1.5 * HOUR)
    ]
    switches.pause(ann.engine, Switch(Scope.TEMPLATE, "hello", ann.account))
    assign(ann, "b")
    ann.deliver()
    assert ann.one("SELECT count(*) FROM deferrals") == 1


def test_step_without_a_sender_is_looked_at_hourly_and_recorded_once(layby: Layby) -> None:
    layby.must("put_account", active_limit=9, test_clock=layby.now)
    for kind, fields in (
        ("put_template", {"template": "hello", "definition": _HELLO}),
        ("put_schedule", {"schedule": "dunning", "definition": schedule("PT0S")}),
    ):
        layby.must(kind, **fields)
    layby.on_schedule("ann")
    for _ in range(4):
        layby.deliver()
        layby.travel(HOUR)
    first, last = layby.now - 4 * HOUR, layby.now - HOUR
    assert layby.rows("SELECT rule, times, first_at, last_at FROM deferrals") == [
        ("has_sender", 4, first, last)
    ]


_HELLO = {
    "channel": "email",
    "default_language": "en",
    "texts": {"en": {"subject": "Hello", "text": "Dear {{ name }}"}},
}


def test_pruning_an_enrolment_takes_its_deferrals(ann: Layby) -> None:
    ann.must("put_account", rules={"no_send_hours": {"from": "07:00", "until": "09:30"}})
    assign(ann, "a")
    ann.deliver()
    ann.must("move_to_directory", customers=["ann"])
    (enrolment,) = ann.rows("SELECT account, enrolment FROM enrolments")
    with ann.engine.begin() as connection:
        held = retention.lock_ended(connection, [Place(*enrolment)])
        retention.prune_enrolments(connection, held, datetime.now(UTC) + DAY)
    assert ann.one("SELECT count(*) FROM deferrals") == 0


def test_collectors_message_waits_for_both_coasts(layby: Layby) -> None:
    """START is 08:00 UTC, 03:00 in New York; 11:00 there is 08:00 in Los Angeles."""
    layby.set_up()
    layby.must("put_account", rules={"collector": True})
    layby.add("ann", zone="America/New_York", phone="+14155550123", country="US")
    layby.must("activate", customers=["ann"])
    assign(layby, "a")
    layby.deliver()
    assert layby.rows("SELECT deferred, due_at FROM pending") == [
        ("collector", layby.now + 8 * HOUR)
    ]
    layby.travel(8 * HOUR)
    layby.deliver()
    assert len(layby.mails()) == 1


TEN_DAYS = [f"P{day}D" for day in range(10)]


def sent_by_day(layby: Layby) -> list[int]:
    """How many messages each day of the business clock had, in order."""
    days = layby.rows(
        "SELECT CAST(business_at AT TIME ZONE 'UTC' AS date) FROM sends WHERE state = 'sent'"
    )
    return [count for _, count in sorted(Counter(day for (day,) in days).items())]


def live(layby: Layby, days: int) -> None:
    """Deliver twice on each of some days."""
    for _ in range(2 * days):
        layby.deliver()
        layby.travel(12 * HOUR)


@pytest.mark.parametrize(
    ("when_late", "messages", "most"),
    [("send", 10, 1), ("skip", 3, 1)],
)
def test_after_an_outage_of_ten_days_each_day_has_one_message(
    layby: Layby, when_late: str, messages: int, most: int
) -> None:
    """With `send` all ten, a day apart; with `skip` those of the last two days, a day apart."""
    layby.set_up(schedule=schedule(*TEN_DAYS, when_late=when_late))
    layby.on_schedule("ann")
    layby.travel(10 * DAY - HOUR)
    live(layby, 14)
    by_day = sent_by_day(layby)
    assert max(by_day) == most
    assert sum(by_day) <= messages
    assert len(layby.ledger("ann")) == 10, "each step has its outcome"


def test_without_the_rule_an_outage_is_a_burst(layby: Layby) -> None:
    """What `apart` keeps back; and what a cap keeps back without it."""
    layby.set_up(schedule=schedule(*TEN_DAYS, when_late="send"))
    layby.must("put_account", rules={"apart": False})
    layby.on_schedule("ann")
    layby.on_schedule("bob")
    layby.travel(10 * DAY - HOUR)
    layby.must("put_account", rules={"caps": [{"at_most": 2, "in": "P1D"}]})
    layby.deliver()
    assert sent_by_day(layby) == [4], "two each, and not ten each"
    layby.must("put_account", rules={"caps": []})
    layby.travel(DAY)
    layby.deliver()
    assert sent_by_day(layby) == [4, 16]


def test_after_a_long_pause_each_day_has_one_message(layby: Layby) -> None:
    layby.set_up(schedule=schedule(*TEN_DAYS, when_late="send"))
    layby.on_schedule("ann")
    layby.deliver()
    layby.must("pause", customers=["ann"])
    layby.travel(10 * DAY)
    layby.must("resume", customers=["ann"])
    live(layby, 11)
    assert sent_by_day(layby) == [1] * 10


def test_after_a_switch_is_resumed_each_day_has_one_message(layby: Layby) -> None:
    layby.set_up(schedule=schedule(*TEN_DAYS, when_late="send"))
    layby.on_schedule("ann")
    layby.deliver()
    switch = Switch(Scope.CHANNEL, "email", layby.account)
    switches.pause(layby.engine, switch)
    layby.travel(10 * DAY)
    switches.resume(layby.engine, switch)
    live(layby, 11)
    assert sent_by_day(layby) == [1] * 10


def test_newer_version_keeps_apart_from_what_the_older_one_sent(layby: Layby) -> None:
    layby.set_up(schedule=schedule(*TEN_DAYS, when_late="send"))
    layby.on_schedule("ann")
    layby.travel(10 * DAY)
    layby.deliver()
    newer = schedule(*TEN_DAYS, when_late="send") | {"holds": []}
    layby.must("put_schedule", schedule="dunning", definition=newer)
    layby.must("move_to_version", customers=["ann"], schedule="dunning")
    live(layby, 1)
    assert sent_by_day(layby) == [1]


def test_what_follows_a_step_that_moved_it_comes_when_that_says(layby: Layby) -> None:
    """Thirty hours late; eight hours later comes the next one, which is late for nobody."""
    moving = schedule("PT0S", "PT8H", late_after="PT1H", when_late="reanchor")
    layby.set_up(schedule=moving)
    layby.on_schedule("ann")
    layby.travel(30 * HOUR)
    layby.deliver()
    layby.travel(8 * HOUR)
    layby.deliver()
    assert sent_by_day(layby) == [2]


def test_late_messages_keep_apart_from_when_the_last_one_began(layby: Layby) -> None:
    """Not from when its provider answered: half of four hours later the next one goes."""
    layby.set_up(schedule=schedule("PT0S", "PT4H", when_late="send"))
    layby.on_schedule("ann")
    layby.travel(6 * HOUR)
    start(layby.engine, layby.account)
    layby.travel(HOUR)
    answer(layby.engine, started(layby.engine, layby.account), Answer.ACCEPTED)
    layby.travel(HOUR - timedelta(seconds=1))
    layby.deliver()
    assert sent_by_day(layby) == [1]
    layby.travel(timedelta(seconds=1))
    layby.deliver()
    assert sent_by_day(layby) == [2]


def test_reactivated_customer_starts_anew_and_is_not_caught_up_with(layby: Layby) -> None:
    layby.set_up(schedule=schedule(*TEN_DAYS, when_late="send"))
    layby.on_schedule("ann")
    layby.deliver()
    layby.must("move_to_directory", customers=["ann"])
    layby.travel(10 * DAY)
    layby.must("reactivate", customers=["ann"])
    live(layby, 2)
    assert sent_by_day(layby) == [1]


def test_rules_given_are_changed_and_the_others_stay(ann: Layby) -> None:
    def kept() -> tuple[Any, ...]:
        return ann.rows("SELECT rules, rules_version FROM accounts")[0]

    ann.must("put_account", rules={"collector": True, **ONE_A_WEEK})
    ann.must("put_account", rules={"no_send_hours": {"from": "20:00", "until": "08:00"}})
    night = {"from": "20:00:00", "until": "08:00:00"}
    assert kept() == ({"collector": True, **ONE_A_WEEK, "no_send_hours": night}, 2)
    ann.must("put_account", rules={"collector": True})
    assert kept()[1] == 2, "nothing has changed"
    ann.must("put_account", rules={"no_send_hours": None, "caps": []})
    assert kept() == ({"collector": True, "caps": [], "no_send_hours": None}, 3)
    journal = ann.rows("SELECT data FROM journal WHERE event = 'account_put' ORDER BY entry")
    assert journal[-1][0]["rules_version"] == 3
    assert journal[-1][0]["rules"] == kept()[0]


def test_rule_that_is_not_known_is_refused_with_those_that_are() -> None:
    command = {"id": "1", "account": "acme", "kind": "put_account", "rules": {"nightly": True}}
    with pytest.raises(UnreadableCommandError, match=r"has no rule nightly: .* apart"):
        read_command(json.dumps(command))


def test_rule_of_a_newer_version_stops_sends_and_not_commands(ann: Layby) -> None:
    """Sending without a rule that the account has is worse than waiting for the upgrade."""
    assign(ann, "a")
    with ann.engine.begin() as connection:
        connection.exec_driver_sql("""UPDATE accounts SET rules = '{"of_2030": true}'""")
    with pytest.raises(ValueError, match="has no rule of_2030"):
        ann.deliver()
    ann.must("move_to_directory", customers=["ann"])
    assert ann.one("SELECT count(*) FROM pending") == 0
