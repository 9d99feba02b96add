"""What can't be applied, or takes longer than the server allows, holds up nobody for ever."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from concurrency.parts import FakeClock
from databases import Database
from harness import Layby
from surroundings import set_for_all

from domain.commands import AllOrNone
from storage import unapplied
from storage.database import DatabaseError
from workers import setting_aside
from workers.bulk import apply_bulk
from workers.lifecycle import apply_waiting

ALL_OR_NONE: dict[str, Any] = {"all_or_none": True}
assert "all_or_none" in AllOrNone.model_fields


@contextmanager
def too_long(layby: Layby, table: str, event: str, when: str) -> Iterator[None]:
    """The server ends whoever writes such a row, as `statement_timeout` does."""
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            f"""
            CREATE FUNCTION end_it() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_cancel_backend(pg_backend_pid()), pg_sleep(60); END $$;
            CREATE TRIGGER end_it BEFORE {event} ON {table} FOR EACH ROW WHEN ({when})
            EXECUTE FUNCTION end_it();
            """
        )
    yield
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("DROP FUNCTION end_it() CASCADE")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried as often as ever, but not for five minutes."""
    monkeypatch.setattr(setting_aside, "ATTEMPTED_SECONDS", 0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Machine time of whoever counts attempts."""
    clock = FakeClock()
    monkeypatch.setattr(setting_aside, "machine_seconds", clock)
    return clock


def tick(layby: Layby) -> None:
    """As the processes do, at a tick: what fails is tried again at the next."""
    for apply in (apply_waiting, apply_bulk):
        with suppress(DatabaseError):
            apply(layby.engine, layby.account)


def ticks(layby: Layby) -> None:
    for _ in range(setting_aside.ATTEMPTS):
        tick(layby)


def test_command_that_always_takes_too_long_holds_up_nobody_else(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann", "bad", "cid")
    with too_long(layby, "slots", "DELETE", "OLD.customer = 'bad'"):
        move = layby.accept("move_to_directory", customers=["ann", "bad", "cid"])
        tick(layby)
        tick(layby)
        assert layby.rows(
            "SELECT customer FROM command_targets WHERE state = 'applied' "
            "AND seq = (SELECT max(seq) FROM commands) ORDER BY 1"
        ) == [("ann",), ("cid",)]
    assert layby.apply(move).applied == 3


@pytest.mark.usefixtures("at_once")
def test_command_that_always_takes_too_long_is_set_aside_and_can_be_replayed(
    layby: Layby,
) -> None:
    layby.set_up()
    layby.on_schedule("bad")
    with too_long(layby, "slots", "DELETE", "OLD.customer = 'bad'"):
        move = layby.accept("move_to_directory", customers=["bad"])
        for _ in range(4):
            tick(layby)
        assert layby.outcome(move).state == "accepted"
        tick(layby)
    (refused,) = layby.outcome(move).refusals
    assert refused.code == "cannot_apply"
    assert "canceling statement" in refused.message
    with layby.engine.begin() as connection:
        assert unapplied.replay(connection, layby.account, move)
    assert layby.apply(move).state == "applied"


def test_silence_is_not_set_aside_for_a_short_outage(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    with too_long(layby, "slots", "DELETE", "true"):
        move = layby.accept("move_to_directory", customers=["ann"])
        ticks(layby)
        assert layby.outcome(move).state == "accepted"
    assert layby.apply(move).state == "applied"


@pytest.mark.usefixtures("at_once")
def test_silence_is_not_set_aside_because_somebody_holds_its_customer(
    layby: Layby, database: Database
) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    move = layby.accept("move_to_directory", customers=["ann"])
    with (
        layby.engine.connect() as holder,
        set_for_all(layby, database, "statement_timeout = '50ms'") as engine,
    ):
        holder.exec_driver_sql("SELECT 1 FROM slots FOR UPDATE")
        for _ in range(setting_aside.ATTEMPTS + 1):
            with pytest.raises(DatabaseError):
                apply_waiting(engine, layby.account)
        holder.rollback()
    assert layby.apply(move).state == "applied"


@pytest.mark.usefixtures("at_once")
def test_nothing_is_set_aside_for_a_lock_that_was_not_had(layby: Layby, database: Database) -> None:
    """That is nobody's fault but his who holds it, for however long."""
    layby.set_up()
    definition = {"channel": "sms", "default_language": "en", "texts": {"en": {"text": "new"}}}
    template = layby.accept("put_template", template="nudge", definition=definition)
    with (
        layby.engine.connect() as holder,
        set_for_all(layby, database, "lock_timeout = '20ms'") as engine,
    ):
        holder.exec_driver_sql("LOCK TABLE template_versions IN EXCLUSIVE MODE")
        for _ in range(setting_aside.ATTEMPTS + 1):
            with pytest.raises(DatabaseError):
                apply_waiting(engine, layby.account)
        holder.rollback()
    assert layby.apply(template).state == "applied"


@pytest.mark.usefixtures("at_once")
def test_attempts_of_long_ago_do_not_count(layby: Layby, clock: FakeClock) -> None:
    """Another process has done it meanwhile, and what waits now is another command."""
    layby.set_up()
    layby.on_schedule("ann")
    with too_long(layby, "slots", "DELETE", "true"):
        first = layby.accept("move_to_directory", customers=["ann"])
        for _ in range(4):
            tick(layby)
        clock.now_seconds += 61
        tick(layby)
        assert layby.outcome(first).state == "accepted"


@pytest.mark.usefixtures("at_once")
def test_set_up_that_always_takes_too_long_is_set_aside(layby: Layby) -> None:
    """Nothing of the account is applied before it."""
    layby.set_up()
    definition = {"channel": "sms", "default_language": "en", "texts": {"en": {"text": "new"}}}
    with too_long(layby, "template_versions", "INSERT", "true"):
        bad = layby.accept("put_template", template="nudge", definition=definition)
        add = layby.accept("add_customer", customers=["ann"], profile={"name": "Ann"})
        ticks(layby)
    assert layby.outcome(bad).state == "quarantined"
    assert layby.outcome(add).state == "applied"


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("more", [{}, ALL_OR_NONE])
def test_bulk_command_that_always_takes_too_long_is_set_aside(
    layby: Layby, more: dict[str, Any]
) -> None:
    layby.set_up()
    layby.add("ann", "bad")
    layby.bulk_from = 1
    with too_long(layby, "slots", "INSERT", "NEW.customer = 'bad'"):
        bad = layby.accept("activate", customers=["ann", "bad"], **more)
        ticks(layby)
        tick(layby)
    outcome = layby.outcome(bad)
    assert {one.code for one in outcome.refusals} == {"cannot_apply"}
    assert outcome.applied == (0 if more else 1)


@pytest.mark.usefixtures("at_once")
def test_filter_that_always_takes_too_long_is_set_aside(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    with too_long(layby, "command_targets", "INSERT", "NEW.bulk"):
        bad = layby.accept("pause", customers={"status": "on_track"})
        ticks(layby)
    assert layby.outcome(bad).state == "quarantined"


def test_move_is_not_refused_for_a_later_command_that_cannot_be_applied(layby: Layby) -> None:
    """Refused, its messages would go out until somebody replays it."""
    layby.set_up()
    layby.on_schedule("ann")
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            "ALTER TABLE customers ADD CONSTRAINT spoilt CHECK (name <> 'Spoilt')"
        )
    move = layby.accept("move_to_directory", customers=["ann"])
    bad = layby.accept("update_customer", customers=["ann"], profile={"name": "Spoilt"})
    last = layby.accept("update_customer", customers=["ann"], profile={"name": "Ann"})
    layby.ring()
    assert [layby.outcome(one).state for one in (move, bad, last)] == [
        "applied",
        "refused",
        "applied",
    ]
