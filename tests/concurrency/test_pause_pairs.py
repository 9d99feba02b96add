"""Once a pause has returned, nothing that it forbids begins: whoever comes first."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from concurrency.interleave import Interleaving, Task, planted
from concurrency.invariants import broken
from concurrency.parts import start
from harness import Layby

from domain.switch import Scope, Switch
from storage import switches as statements
from workers import switches

SENDS = [
    Switch(Scope.CHANNEL, "email"),
    Switch(Scope.CHANNEL, "email", "acme"),
    Switch(Scope.ACCOUNT, "acme", "acme"),
    Switch(Scope.TEMPLATE, "hello", "acme"),
]
LIFECYCLE = Switch(Scope.QUEUE, "lifecycle")
TAKES, PAUSES, SPREADS = "INSERT INTO started", "INSERT INTO switches", "UPDATE pending p"
NO_LOCK = (statements.HELD, "true")
each_of_sends = pytest.mark.parametrize("switch", SENDS, ids=lambda switch: switch.in_words)


def pausing(people: Layby, switch: Switch) -> Callable[[], switches.PauseResult]:
    return lambda: switches.pause(people.engine, switch, reason="a test")


def starting(people: Layby) -> Callable[[], int]:
    return lambda: len(start(people.engine, people.account))


@each_of_sends
def test_start_first_uncommitted_and_the_pause_waits_then_counts_it(
    people: Layby, between: Interleaving, switch: Switch
) -> None:
    first = between.stopped(starting(people), having=TAKES)
    second = between.waiting(pausing(people, switch), for_=first)
    assert first.go().result() == 2
    assert second.result().in_progress == 2
    assert broken(people.engine) == {}


@each_of_sends
def test_pause_first_uncommitted_and_the_start_waits_then_starts_nothing(
    people: Layby, between: Interleaving, switch: Switch
) -> None:
    first = between.stopped(pausing(people, switch), having=PAUSES)
    second = between.waiting(starting(people), for_=first)
    assert first.go().result().in_progress == 0
    assert second.result() == 0
    assert people.one("SELECT count(*) FROM started") == 0
    assert broken(people.engine) == {}


@each_of_sends
def test_start_that_does_not_hold_the_switches_begins_after_the_pause(
    people: Layby, between: Interleaving, switch: Switch
) -> None:
    """Planted: no lock. The pause has returned and counted nothing; then the start commits."""
    with planted(people.engine, *NO_LOCK):
        first = between.stopped(starting(people), having=TAKES)
        assert pausing(people, switch)().in_progress == 0
        first.go().result()
    assert people.one("SELECT count(*) FROM started") == 2


@pytest.mark.parametrize("command", ["move_to_directory", "add_customer", "put_account"])
def test_pause_of_lifecycle_first_uncommitted_and_nothing_is_applied(
    people: Layby, between: Interleaving, command: str
) -> None:
    """Neither to who is there, nor to who is new, nor to the account."""
    named = accepted(people, command)
    first = between.stopped(pausing(people, LIFECYCLE), having=PAUSES)
    second = apply_while_held(people, between, named, first)
    first.go().result()
    second.result()
    assert people.outcome(named).state == "accepted"
    assert people.one("SELECT count(*) FROM customers WHERE place = 'active'") == 2


@pytest.mark.parametrize("command", ["move_to_directory", "add_customer", "put_account"])
def test_command_first_uncommitted_and_the_pause_of_lifecycle_waits(
    people: Layby, between: Interleaving, command: str
) -> None:
    named = accepted(people, command)
    first = between.stopped(lambda: people.apply(named), having="UPDATE commands")
    second = between.waiting(pausing(people, LIFECYCLE), for_=first)
    first.go().result()
    second.result()
    assert people.outcome(named).state == "applied"


def test_command_that_does_not_hold_the_switches_is_applied_after_the_pause(
    people: Layby, between: Interleaving
) -> None:
    """Planted: no lock."""
    named = accepted(people, "move_to_directory")
    with planted(people.engine, *NO_LOCK):
        first = between.stopped(lambda: people.apply(named), having="UPDATE commands")
        pausing(people, LIFECYCLE)()
        assert people.outcome(named).state == "accepted"
        first.go().result()
    assert people.outcome(named).state == "applied"


def test_resume_does_not_wait_for_the_rows_of_a_move(people: Layby, between: Interleaving) -> None:
    """What the move holds is left to it, the others are spread; only to switch off it waits."""
    switch = SENDS[1]
    pausing(people, switch)()
    named = people.accept("move_to_directory", customers=["ann"])
    move = between.stopped(lambda: people.apply(named), having="DELETE FROM slots")
    over = timedelta(hours=1)
    resumed = between.waiting(lambda: switches.resume(people.engine, switch, over=over), for_=move)
    assert people.one("SELECT due_at FROM pending WHERE customer = 'bob'") == people.now + over / 2
    move.go().result()
    assert resumed.result().spread == 1
    assert people.rows("SELECT customer FROM pending") == [("bob",)]
    assert broken(people.engine) == {}


def test_move_waits_for_a_resume_and_then_takes_out_what_it_spread(
    people: Layby, between: Interleaving
) -> None:
    switch = SENDS[1]
    pausing(people, switch)()
    named = people.accept("move_to_directory", customers=["ann"])
    spread = between.stopped(lambda: switches.resume(people.engine, switch), having=SPREADS)
    move = between.waiting(lambda: people.apply(named), for_=spread)
    assert spread.go().result().spread == 2
    assert move.result().cancelled == 1
    assert people.rows("SELECT customer FROM pending") == [("bob",)]
    assert broken(people.engine) == {}


def test_two_pauses_at_once_switch_on_once(people: Layby, between: Interleaving) -> None:
    first = between.stopped(pausing(people, SENDS[0]), having=PAUSES)
    second = between.waiting(pausing(people, SENDS[0]), for_=first)
    assert first.go().result().fresh
    assert not second.result().fresh
    assert people.one("SELECT count(*) FROM journal WHERE event = 'channel_paused'") == 1


def accepted(people: Layby, kind: str) -> str:
    """A command that waits."""
    match kind:
        case "put_account":
            return people.accept(kind, active_limit=1000)
        case "add_customer":
            profile = {"email": "eve@example.org"}
            return people.accept(kind, customers=["eve"], profile=profile)
        case _:
            return people.accept(kind, customers=["ann"])


def apply_while_held(
    people: Layby, between: Interleaving, command: str, holder: Task[switches.PauseResult]
) -> Task[object]:
    return between.waiting(lambda: people.apply(command), for_=holder)
