"""The kill switch: what is paused waits, and on resume it drains by rule, without a burst."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from backlog import another_account, make_due
from harness import START, TEMPLATES, Layby

from domain.commands import BULK_FROM
from domain.switch import Scope, Switch, SwitchError, switch_named
from scheduler.ticks import ring
from storage.audit import run_audit
from workers.broker import Ring
from workers.bulk import apply_bulk
from workers.lifecycle import apply_waiting
from workers.resolving import resolve
from workers.switches import ResumeResult, pause, resume

EMAIL = Switch(Scope.CHANNEL, "email", "acme")
EVERYBODYS_EMAIL = Switch(Scope.CHANNEL, "email")
ACME = Switch(Scope.ACCOUNT, "acme", "acme")
HELLO = Switch(Scope.TEMPLATE, "hello", "acme")
BULK = Switch(Scope.QUEUE, "bulk")
LIFECYCLE = Switch(Scope.QUEUE, "lifecycle")
MINUTE = timedelta(minutes=1)
JUST_BEFORE = START - timedelta(seconds=1)
each_switch = pytest.mark.parametrize(
    "switch", [EMAIL, EVERYBODYS_EMAIL, ACME, HELLO], ids=lambda switch: switch.in_words
)


class Rings:
    """A bell that writes down what it is rung for."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, str]] = []

    def ring(self, rings: Iterable[Ring]) -> int:
        asked = [(one.account, one.queue) for one in rings]
        self.rung += asked
        return len(asked)


def rung(layby: Layby) -> list[tuple[str, str]]:
    rings = Rings()
    ring(layby.engine, rings)
    return rings.rung


def sent(layby: Layby) -> int:
    count: int = layby.one("SELECT count(*) FROM sends WHERE state = 'sent'")
    return count


def unpause(layby: Layby, switch: Switch, over: timedelta = 10 * MINUTE) -> ResumeResult:
    return resume(layby.engine, switch, over=over)


@each_switch
def test_what_is_paused_waits_and_goes_out_once_resumed(layby: Layby, switch: Switch) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    assert pause(layby.engine, switch).fresh
    layby.deliver()
    assert layby.ledger("ann") == []
    assert rung(layby) == []
    assert unpause(layby, switch).spread == 1
    assert rung(layby) == [("acme", "email")]
    layby.deliver()
    assert layby.ledger("ann") == [(0, "sent", "accepted")]


@pytest.mark.parametrize("switch", [EMAIL, ACME], ids=lambda switch: switch.in_words)
def test_other_accounts_and_channels_go_on(layby: Layby, switch: Switch) -> None:
    another_account(layby, layby.account)
    another_account(layby, "other")
    make_due(layby.engine, "acme", 1)
    make_due(layby.engine, "acme", 1, prefix="s", schedule="texting", channel="sms")
    make_due(layby.engine, "other", 1)
    pause(layby.engine, switch)
    assert (
        rung(layby) == [("other", "email")]
        if switch is ACME
        else [
            ("acme", "sms"),
            ("other", "email"),
        ]
    )


@each_switch
def test_resume_lets_out_no_more_than_its_pace_and_in_order(layby: Layby, switch: Switch) -> None:
    """100 in ten minutes: one at once, and ten a minute."""
    layby.set_up()
    make_due(layby.engine, "acme", 100)
    pause(layby.engine, switch)
    layby.deliver()
    layby.travel(timedelta(hours=5))
    assert unpause(layby, switch).spread == 100
    layby.deliver()
    for minute in range(1, 11):
        assert sent(layby) == 10 * minute - 9
        layby.travel(MINUTE)
        layby.deliver()
    assert sent(layby) == 100
    order = layby.rows("SELECT customer FROM sends ORDER BY business_at, planned_at")
    assert order == [(f"b-{n}",) for n in range(1, 101)]
    assert layby.one("SELECT count(*) FROM pending WHERE step = 0") == 0


@each_switch
def test_what_became_too_late_meanwhile_is_skipped_with_its_reason(
    layby: Layby, switch: Switch
) -> None:
    """By the plan, which neither the pause nor the resume moves."""
    layby.set_up()
    layby.on_schedule("ann")
    pause(layby.engine, switch)
    layby.deliver()
    layby.travel(timedelta(days=2, hours=1))
    assert layby.ledger("ann") == []
    unpause(layby, switch)
    layby.deliver()
    ((step, state, rule),) = layby.ledger("ann")[:1]
    assert (step, state, rule) == (0, "skipped", "in_time")
    assert layby.one("SELECT detail FROM sends WHERE step = 0") == (
        "2 d 1 h late, where 2 d is allowed"
    )


def test_ten_thousand_sends_of_a_paused_template_do_not_keep_another_ones_from_going_out(
    layby: Layby,
) -> None:
    """Though all of them were due before it."""
    layby.set_up()
    other(layby)
    make_due(layby.engine, "acme", 10_000)
    make_due(layby.engine, "acme", 1, prefix="z", schedule="other", at=JUST_BEFORE)
    pause(layby.engine, HELLO)
    layby.deliver()
    assert layby.ledger("z-1") == [(0, "sent", "accepted")]
    assert sent(layby) == 1
    assert rung(layby) == []
    assert unpause(layby, HELLO).spread == 10_000
    assert layby.one("SELECT count(*) FROM pending WHERE deferred IS NOT NULL") == 0
    assert layby.one("SELECT max(due_at) FROM pending") < layby.now + 10 * MINUTE


def test_resume_of_a_template_leaves_those_of_another_one_paused(layby: Layby) -> None:
    layby.set_up()
    other(layby)
    make_due(layby.engine, "acme", 3)
    make_due(layby.engine, "acme", 1, prefix="z", schedule="other", at=JUST_BEFORE)
    for template in ("hello", "other"):
        pause(layby.engine, Switch(Scope.TEMPLATE, template, "acme"))
    layby.deliver()
    assert unpause(layby, HELLO).spread == 3
    layby.travel(10 * MINUTE)
    layby.deliver()
    assert sent(layby) == 3
    assert layby.ledger("z-1") == []


def test_a_paused_template_is_looked_at_again_though_nobody_brings_it_forward(
    layby: Layby,
) -> None:
    """Whatever became of the resume."""
    layby.set_up()
    layby.on_schedule("ann")
    pause(layby.engine, HELLO)
    layby.deliver()
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM switches")
    layby.travel(timedelta(hours=1))
    layby.deliver()
    assert layby.ledger("ann") == [(0, "sent", "accepted")]


def test_a_retry_that_waits_is_not_brought_forward(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    later = layby.now + timedelta(hours=2)
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE pending SET due_at = '{later}', attempts = 4")
    pause(layby.engine, EMAIL)
    assert unpause(layby, EMAIL).spread == 0
    assert layby.one("SELECT due_at FROM pending") == later


def test_paused_lifecycle_applies_nothing_and_nobody_hears_whose_move_waits(layby: Layby) -> None:
    """What is not known to be wanted is not sent; the others hear what is due."""
    layby.set_up()
    layby.on_schedule("ann", "bob")
    pause(layby.engine, LIFECYCLE)
    move = layby.send("move_to_directory", customers=["ann"])
    plan = layby.send("put_account", active_limit=7)
    assert (move.state, plan.state) == ("accepted", "accepted")
    assert rung(layby) == [("acme", "email")]
    layby.deliver()
    assert layby.ledger("ann") == []
    assert layby.ledger("bob") == [(0, "sent", "accepted")]


def test_what_waited_for_its_customers_commands_waits_until_they_are_applied(layby: Layby) -> None:
    """A resume brings it forward, and the move still comes first; without one, it goes out."""
    layby.set_up()
    layby.on_schedule("ann", "bob")
    pause(layby.engine, LIFECYCLE)
    layby.accept("move_to_directory", customers=["ann"])
    layby.accept("update_customer", customers=["bob"], profile={"name": "Bob"})
    layby.deliver()
    assert unpause(layby, LIFECYCLE, timedelta(0)).spread == 2
    assert rung(layby) == [("acme", "lifecycle"), ("acme", "email")]
    layby.deliver()
    assert sent(layby) == 0
    layby.travel(10 * MINUTE)
    layby.deliver()
    assert layby.ledger("ann") == [(0, "cancelled", "moved")]
    assert layby.ledger("bob") == [(0, "sent", "accepted")]


def test_what_waits_for_a_command_goes_on_waiting_beside_others_that_go_out(layby: Layby) -> None:
    """In one batch with them, behind them, and at each further look."""
    layby.set_up()
    layby.on_schedule("ann")
    pause(layby.engine, LIFECYCLE)
    layby.accept("move_to_directory", customers=["ann"])
    layby.deliver()
    unpause(layby, LIFECYCLE, timedelta(0))
    for look in (1, 2):
        make_due(layby.engine, "acme", 1, prefix=f"look{look}", at=JUST_BEFORE)
        layby.deliver()
        assert (sent(layby), layby.ledger("ann")) == (look, [])
        with layby.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE pending SET due_at = planned_at WHERE step = 0")
    layby.ring()
    assert layby.ledger("ann") == [(0, "cancelled", "moved")]


def test_paused_bulk_holds_its_customers_in_order_and_lets_single_commands_through(
    layby: Layby,
) -> None:
    """What came behind bulk work of the same customer waits with it; what came before does not."""
    layby.set_up()
    layby.on_schedule("ann", "bob", "cid")
    pause(layby.engine, BULK)
    before = layby.accept("update_customer", customers=["ann"], profile={"name": "Ann"})
    moved = layby.accept("move_to_directory", customers={"status": "on_track"})
    resolve(layby.engine, "acme", layby.one("SELECT max(seq) FROM commands"))
    behind = layby.accept("pause", customers=["ann"])
    assert not apply_bulk(layby.engine, "acme").more
    assert not apply_waiting(layby.engine, "acme").more
    states = [layby.outcome(one).state for one in (before, moved, behind)]
    assert states == ["applied", "accepted", "accepted"]
    assert ("acme", "bulk") not in rung(layby)
    layby.deliver()
    assert sent(layby) == 0, "for each of them a move waits"
    unpause(layby, BULK)
    assert ("acme", "bulk") in rung(layby)
    apply_bulk(layby.engine, "acme")
    assert layby.outcome(moved).applied == 3
    assert layby.outcome(behind).state == "refused"


def test_nobody_on_a_list_that_is_not_taken_apart_yet_hears_while_bulk_is_paused(
    layby: Layby,
) -> None:
    layby.set_up()
    layby.on_schedule("ann", "bob")
    pause(layby.engine, BULK)
    others = [f"c-{n}" for n in range(BULK_FROM)]
    layby.accept("move_to_directory", customers=[*others, "ann"])
    layby.deliver()
    assert layby.ledger("ann") == []
    assert layby.ledger("bob") == [(0, "sent", "accepted")]


def test_paused_bulk_applies_no_part_of_what_asks_for_all_or_none(layby: Layby) -> None:
    layby.set_up()
    layby.add("ann", "bob")
    pause(layby.engine, BULK)
    both = layby.accept("activate", customers=["ann", "bob"], all_or_none=True)
    assert not apply_waiting(layby.engine, "acme").more
    assert layby.outcome(both).state == "accepted"
    unpause(layby, BULK)
    assert layby.apply(both).applied == 2


def test_paused_lifecycle_is_paused_bulk_too(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    pause(layby.engine, LIFECYCLE)
    moved = layby.accept("move_to_directory", customers={"status": "on_track"})
    assert not apply_bulk(layby.engine, "acme").more
    assert rung(layby) == [("acme", "email")]
    unpause(layby, LIFECYCLE)
    apply_bulk(layby.engine, "acme")
    assert layby.outcome(moved).applied == 1


def test_journal_tells_who_paused_what_and_why(layby: Layby) -> None:
    layby.set_up()
    pause(layby.engine, EMAIL, reason="wrong text", source="ann@desk")
    resume(layby.engine, EMAIL, reason="mended", source="bob@desk")
    told = layby.rows(
        "SELECT event, data->>'name', data->>'source', data->>'reason' FROM journal "
        "WHERE event LIKE 'channel%' ORDER BY entry"
    )
    assert told == [
        ("channel_paused", "email", "ann@desk", "wrong text"),
        ("channel_resumed", "email", "bob@desk", "mended"),
    ]


def test_a_second_pause_changes_nothing_and_a_second_resume_is_refused(layby: Layby) -> None:
    layby.set_up()
    first = pause(layby.engine, EMAIL, reason="first")
    again = pause(layby.engine, EMAIL, reason="second")
    assert (again.fresh, again.since) == (False, first.since)
    resume(layby.engine, EMAIL)
    with pytest.raises(SwitchError, match=r"channel email of acme: it is not paused.*switches"):
        resume(layby.engine, EMAIL)


@pytest.mark.parametrize(
    ("scope", "name", "account", "told"),
    [
        ("queue", "emial", None, "There is no queue emial. Queues: lifecycle, bulk, email, sms."),
        ("queue", "email", "acme", "layby pause channel email --account acme"),
        ("channel", "fax", None, "There is no channel fax. Channels: email, sms."),
        ("channel", "email", "nobody", "There is no account nobody."),
        ("template", "hello", None, "Template hello needs its account. Add: --account ACCOUNT"),
        ("template", "helo", "acme", "Account acme has no template helo."),
        ("account", "acme", "other", "Account acme is not other. Leave out --account."),
        ("account", "nobody", None, "There is no account nobody."),
    ],
)
def test_what_can_not_be_paused_is_refused_with_what_to_do(
    layby: Layby, scope: str, name: str, account: str | None, told: str
) -> None:
    layby.set_up()
    with pytest.raises(SwitchError) as refused:
        pause(layby.engine, switch_named(Scope(scope), name, account))
    assert told in str(refused.value)
    assert layby.one("SELECT count(*) FROM switches") == 0


def test_a_queue_of_sends_is_the_channel_of_all_accounts() -> None:
    assert switch_named(Scope.QUEUE, "email") == EVERYBODYS_EMAIL


def other(layby: Layby) -> None:
    """A second template by email, and a schedule of it."""
    definition: dict[str, Any] = TEMPLATES["hello"]
    layby.must("put_template", template="other", definition=definition)
    step = {"offset": "PT0S", "channel": "email", "template": "other"}
    schedule = {"anchor": "assigned_at", "steps": [step]}
    layby.must("put_schedule", schedule="other", definition=schedule)


@pytest.fixture(autouse=True)
def audited(layby: Layby) -> Iterator[None]:
    """Whatever a test did, the guarantees hold after it."""
    yield

    with layby.engine.connect() as connection:
        wrong = [one for one in run_audit(connection) if one.broken]
    assert wrong == []
