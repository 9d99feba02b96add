"""The database's clock was an hour ahead, and is set right between two commands.

Neither says when it was issued, so the one that came in later was issued later, whatever the clock
has written beside it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness import Layby
from sqlalchemy import text

from storage import unapplied


def set_clock_back(layby: Layby) -> None:
    """What was written before was written by a clock that was an hour ahead."""
    with layby.engine.begin() as connection:
        for table, column in (
            ("commands", "received_at"),
            ("customers", "silenced_at"),
            ("suppressions", "order_at"),
        ):
            connection.execute(
                text(f"UPDATE {table} SET {column} = {column} + CAST('1 hour' AS interval)")
            )


@pytest.fixture
def people(layby: Layby) -> Layby:
    layby.set_up()
    layby.on_schedule("ann", "bob")
    return layby


@pytest.mark.parametrize(
    ("silence", "end", "whom"),
    [
        ("move_to_directory", "reactivate", {"customers": ["ann"]}),
        ("pause", "resume", {"customers": ["ann"]}),
        ("block", "unblock", {"customers": ["ann"]}),
        ("block", "unblock", {"address": "ann@example.org"}),
    ],
)
def test_what_ends_a_silence_is_applied_at_once(
    people: Layby, silence: str, end: str, whom: dict[str, Any]
) -> None:
    people.must(silence, **whom)
    set_clock_back(people)
    people.must(end, **whom)


@pytest.mark.parametrize(
    ("silence", "end", "whom"),
    [
        ("move_to_directory", "activate", {"customers": ["cid"]}),
        ("block", "unblock", {"customers": ["ann"]}),
    ],
)
def test_what_ends_a_silence_and_came_in_before_it_is_superseded_all_the_same(
    people: Layby, silence: str, end: str, whom: dict[str, Any]
) -> None:
    """Set aside, and replayed after the silence: it was issued earlier."""
    people.add("cid")
    people.must("block", customers=["ann"])
    set_clock_back(people)
    ending = people.accept(end, **whom)
    with people.engine.begin() as connection:
        problem = "It could not be applied."
        unapplied.set_aside(connection, people.account, whom["customers"][0], problem)
    people.send(silence, **whom)
    with people.engine.begin() as connection:
        assert unapplied.replay(connection, people.account, ending)
    assert people.apply(ending).state == "superseded"


@pytest.mark.parametrize(("silence", "end"), [("pause", "resume"), ("block", "unblock")])
def test_what_came_in_later_and_was_issued_earlier_supersedes_nothing(
    people: Layby, silence: str, end: str
) -> None:
    """A silence of two hours ago, that comes in behind what ends it."""
    people.must(silence, customers=["ann"])
    set_clock_back(people)
    ending = people.accept(end, customers=["ann"])
    with people.engine.begin() as connection:
        unapplied.set_aside(connection, people.account, "ann", "It could not be applied.")
    earlier = datetime.now(UTC) - timedelta(hours=2)
    people.send(silence, customers=["ann"], issued_at=earlier.isoformat())
    with people.engine.begin() as connection:
        assert unapplied.replay(connection, people.account, ending)
    assert people.apply(ending).state == "applied"


def test_silence_that_waits_behind_what_ends_one_does_not_supersede_it(people: Layby) -> None:
    """They are applied in their order, and in the end there is silence."""
    people.must("pause", customers=["ann"])
    set_clock_back(people)
    resume = people.accept("resume", customers=["ann"])
    pause = people.accept("pause", customers=["ann"])
    people.ring()
    assert [people.outcome(one).state for one in (resume, pause)] == ["applied", "applied"]
    assert people.one("SELECT paused_at FROM slots WHERE customer = 'ann'") is not None
