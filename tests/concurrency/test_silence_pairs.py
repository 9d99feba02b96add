"""Moves, pauses, opt-outs and facts against each part of a reminder, in both orders.

The one locking rule (DESIGN, section 4): whoever comes second waits for the slot, or leaves it
alone, and then sees all that the first one did.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from concurrency.interleave import Interleaving, planted
from concurrency.invariants import NOTHING_WAITS, broken
from concurrency.parts import FakeClock, answer, start, started
from harness import Layby
from sqlalchemy import text

from domain.message import Answer
from scheduler.ticks import Watch, sweep
from storage import reports, silence
from storage.outcomes import Outcome


class Silencer(NamedTuple):
    """A command that takes out what is pending, and what its ledger calls that."""

    kind: str
    fields: dict[str, Any]
    reason: str | None
    """None: the enrolment is held where it is, and the ledger says nothing yet."""


SILENCERS = {
    "move": Silencer("move_to_directory", {}, "moved"),
    "pause": Silencer("pause", {}, None),
    "opt-out": Silencer("opt_out", {}, "opted_out"),
    "payment": Silencer("record", {"fact": {"fact": "payment"}}, "paid"),
    "promise": Silencer("record", {"fact": {"fact": "promise", "until": "2026-02-01"}}, None),
    "dispute": Silencer("record", {"fact": {"fact": "dispute"}}, None),
}


class Part(NamedTuple):
    """A part of a reminder, and what a silence after and before it must come to."""

    having: str
    """The statement by which it is known in its transaction."""
    ledger: list[tuple[int, str, str]]
    """Of the step itself, when this part came first."""
    cancelled_after: int
    started_after: int
    ledger_when_second: list[tuple[int, str, str]] | None
    """None: what the silence says of its own accord."""

    passes_by: bool = False
    """What another one holds, it leaves alone, and looks at it again later."""

    @property
    def began(self) -> bool:
        """Whether the send is started before the two meet."""
        return self.having != TAKES


TAKES = "INSERT INTO started"
SETTLES = "DELETE FROM started"
PARTS = {
    "start": Part(TAKES, [], 0, 1, None, passes_by=True),
    "settle": Part(SETTLES, [(0, "sent", "accepted")], 1, 0, [(0, "sent", "accepted")]),
    "retry": Part(SETTLES, [], 1, 0, None),
    "rescue": Part(
        SETTLES, [(0, "unknown", "unknown")], 1, 0, [(0, "unknown", "unknown")], passes_by=True
    ),
}

# What holds is one statement, so that two of its commands share the parts between them.
HOLDING = {"promise": ("start", "rescue"), "dispute": ("settle", "retry")}
pairs = pytest.mark.parametrize(
    ("part", "silencer"),
    [(part, silencer) for silencer in SILENCERS for part in HOLDING.get(silencer, PARTS)],
)
SILENCE = "UPDATE command_targets t"


class Meeting:
    """Ann, a silence that waits in the inbox, and the part of a reminder that it meets."""

    def __init__(self, layby: Layby, clock: FakeClock, part: str, silencer: str) -> None:
        self.layby, self.part = layby, PARTS[part]
        self.silencer = SILENCERS[silencer]
        if self.part.began:
            start(layby.engine, layby.account)
        watch = Watch()
        watch.rescue(layby.engine)
        clock.pass_lease()
        self.command = layby.accept(self.silencer.kind, customers=["ann"], **self.silencer.fields)
        self.act: Callable[[], object] = {
            "start": lambda: start(layby.engine, layby.account),
            "settle": lambda: self._settle(Answer.ACCEPTED),
            "retry": lambda: self._settle(Answer.TEMPORARY),
            "rescue": lambda: watch.rescue(layby.engine),
        }[part]

    def _settle(self, with_: Answer) -> None:
        engine, account = self.layby.engine, self.layby.account
        answer(engine, started(engine, account), with_)

    def silence(self) -> Outcome:
        return self.layby.apply(self.command)

    def ledger_of_the_silence(self, step: int) -> list[tuple[int, str, str]]:
        reason = self.silencer.reason
        return [(step, "cancelled", reason)] if reason else []

    def settled_and_swept(self) -> Outcome:
        """The outcome once nothing is in progress any more."""
        self._settle(Answer.ACCEPTED)
        sweep(self.layby.engine)
        return self.layby.outcome(self.command)


@pytest.fixture
def meeting(people: Layby, clock: FakeClock, part: str, silencer: str) -> Meeting:
    return Meeting(people, clock, part, silencer)


@pairs
def test_silence_that_comes_second_waits_and_sees_what_the_first_did(
    meeting: Meeting, between: Interleaving
) -> None:
    """Whatever is pending or started when the silence commits is cancelled or reported."""
    layby, part = meeting.layby, meeting.part
    first = between.stopped(meeting.act, having=part.having)
    silence = between.waiting(meeting.silence, for_=first)
    first.go().result()
    outcome = silence.result()
    assert outcome.state == "applied"
    assert (outcome.cancelled, outcome.started) == (part.cancelled_after, part.started_after)
    assert (outcome.quiet_at is None) is (part.started_after > 0)
    cancelled_step = len(part.ledger)
    said = meeting.ledger_of_the_silence(cancelled_step) if part.cancelled_after else []
    assert layby.ledger("ann") == part.ledger + said
    assert broken(layby.engine) == {}
    assert meeting.settled_and_swept().quiet_at is not None
    assert broken(layby.engine) == {}
    assert layby.rows("SELECT 1 FROM pending WHERE customer = 'ann'") == []


@pairs
def test_what_comes_second_to_a_silence_plans_and_starts_nothing(
    meeting: Meeting, between: Interleaving
) -> None:
    """A start and a rescue pass by, a settle waits; none leaves a send pending for Ann."""
    layby, part = meeting.layby, meeting.part
    silence = between.stopped(meeting.silence, having=SILENCE)
    if part.passes_by:
        between.run(meeting.act).result()
        outcome = silence.go().result()
        meeting.act()
    else:
        second = between.waiting(meeting.act, for_=silence)
        outcome = silence.go().result()
        second.result()
    assert outcome.state == "applied"
    assert (outcome.cancelled, outcome.started) == ((0, 1) if part.began else (1, 0))
    ledger = part.ledger_when_second
    assert layby.ledger("ann") == (meeting.ledger_of_the_silence(0) if ledger is None else ledger)
    assert broken(layby.engine) == {}
    assert layby.rows("SELECT 1 FROM started WHERE customer = 'ann'") == []
    assert layby.rows("SELECT 1 FROM pending WHERE customer = 'ann'") == []
    assert meeting.settled_and_swept().quiet_at is not None
    assert layby.rows(NOTHING_WAITS) == []


KEY_SHARE = "ORDER BY slot FOR KEY SHARE"
OF_THE_SLOT = "FOR NO KEY UPDATE SKIP LOCKED"


@pytest.mark.parametrize(
    ("part", "silencer", "right", "wrong"),
    [
        pytest.param("settle", "pause", KEY_SHARE, "ORDER BY slot", id="settle"),
        pytest.param("rescue", "pause", f"{KEY_SHARE} SKIP LOCKED", "", id="rescue"),
        pytest.param("start", "pause", OF_THE_SLOT, "", id="start"),
        pytest.param("start", "move", OF_THE_SLOT, "", id="start-move"),
    ],
)
def test_without_the_slots_lock_a_silence_that_comes_second_leaks(
    meeting: Meeting, between: Interleaving, right: str, wrong: str
) -> None:
    """Planted: the first one does not lock the slot."""
    with planted(meeting.layby.engine, right, wrong):
        first = between.stopped(meeting.act, having=meeting.part.having)
        silence = between.waiting(meeting.silence, for_=first)
        first.go().result()
        silence.result()
    found = set(broken(meeting.layby.engine))
    assert any(name.startswith("G1") for name in found), found


@pytest.mark.parametrize(("part", "silencer"), [("retry", "pause")])
def test_without_the_slots_lock_a_retry_that_comes_second_leaks(
    meeting: Meeting, between: Interleaving
) -> None:
    """Planted: the settle does not lock the slot, and plans again for a paused customer."""
    with planted(meeting.layby.engine, KEY_SHARE, "ORDER BY slot"):
        silence = between.stopped(meeting.silence, having=SILENCE)
        between.run(meeting.act).result()
        silence.go().result()
    assert "G1 nothing is pending for a customer who is not active, or is paused" in broken(
        meeting.layby.engine
    )


def test_send_started_before_a_move_and_settled_after_a_reactivation_plans_nothing(
    people: Layby,
) -> None:
    """A retry goes back to pending only under the slot it started under."""
    engine, account = people.engine, people.account
    start(engine, account)
    ann = people.one("SELECT send FROM started WHERE customer = 'ann'")
    of_ann = [one for one in started(engine, account) if one.send == ann]
    people.must("move_to_directory", customers=["ann"])
    people.must("reactivate", customers=["ann"])
    people.must("assign_schedule", customers=["ann"], schedule="dunning")
    answer(engine, of_ann, Answer.TEMPORARY)
    assert people.ledger("ann") == [(0, "cancelled", "moved")]
    assert people.one("SELECT count(*) FROM pending WHERE customer = 'ann'") == 1
    assert broken(engine) == {}


def test_quiet_is_reported_once_the_last_started_send_is_settled(people: Layby) -> None:
    """`quiet_at` stays empty while one of the sends that were started remains."""
    engine, account = people.engine, people.account
    start(engine, account)
    command = people.accept("move_to_directory", customers=["ann", "bob"])
    assert people.apply(command).started == 2
    for one in started(engine, account):
        sweep(engine)
        assert people.outcome(command).quiet_at is None
        answer(engine, [one], Answer.UNKNOWN)
    sweep(engine)
    outcome = people.outcome(command)
    assert outcome.quiet_at is not None
    assert outcome.unknown == 2
    with engine.connect() as connection:
        assert connection.execute(text(NOTHING_WAITS)).all() == []


def test_quiet_is_said_of_one_however_many_stay_open_before_it(layby: Layby) -> None:
    """A sweep takes so many at a time: those that can't be said yet must not take their places."""
    layby.set_up()
    layby.on_schedule("ann", "bob", "cid")
    start(layby.engine, layby.account)
    move = layby.must("move_to_directory", customers=["ann", "bob", "cid"])
    last = started(layby.engine, layby.account)[-1]
    answer(layby.engine, [last], Answer.ACCEPTED)
    with layby.engine.begin() as connection:
        assert silence.sweep_quiet(connection, limit=2) == 1
        assert silence.sweep_quiet(connection, limit=2) == 0
    assert layby.rows(
        "SELECT customer FROM command_targets WHERE quiet_at IS NOT NULL AND open <> '{}'"
    ) == [("cid",)]
    assert layby.outcome(move.id).quiet_at is None


def test_outcome_counts_no_send_as_unknown_once_there_is_word_of_it(
    people: Layby, clock: FakeClock
) -> None:
    """Word after quiet: of the worker that was thought dead, or of a person who found it out."""
    start(people.engine, people.account)
    opens = started(people.engine, people.account)
    watch = Watch()
    watch.rescue(people.engine)
    move = people.must("move_to_directory", customers=["ann", "bob"])
    clock.pass_lease()
    watch.rescue(people.engine)
    sweep(people.engine)
    outcome = people.outcome(move.id)
    assert (outcome.quiet_at is not None, outcome.unknown) == (True, 2)
    answer(people.engine, opens[:1], Answer.ACCEPTED)
    assert people.outcome(move.id).unknown == 1
    with people.engine.begin() as connection:
        assert reports.resolve_unknown(connection, people.account, opens[1].send, "failed", "")
    told = people.outcome(move.id)
    assert (told.unknown, told.started, told.quiet_at) == (0, 2, outcome.quiet_at)
