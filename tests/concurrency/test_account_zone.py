"""An account's new zone: all that was planned by the old one is planned anew, under the locks."""

from datetime import UTC, datetime

import pytest
from concurrency.interleave import CrashedError, Interleaving
from concurrency.invariants import broken
from concurrency.parts import answer, start, started
from counting_bell import CountingBell
from harness import Layby, numbered

from domain.message import Answer
from scheduler.ticks import ring
from storage import replans
from storage.accounts import read_account
from workers.lifecycle import apply_waiting
from workers.replanning import replan_some

BILLS = {
    "anchor": "due_date",
    "steps": [
        {"offset": "P0D", "at": "09:00", "channel": "email", "template": "hello"},
        {"offset": "P1D", "at": "09:00", "channel": "email", "template": "hello"},
    ],
}
IN_UTC = datetime(2026, 1, 6, 9, tzinfo=UTC)
IN_TOKYO = datetime(2026, 1, 6, 0, tzinfo=UTC)
PLANNED = "SELECT customer, due_at FROM pending ORDER BY 1"


@pytest.fixture
def billed(layby: Layby) -> Layby:
    """Five customers without a zone of their own, with a bill due tomorrow."""
    layby.set_up(schedule=BILLS)
    layby.add(*numbered("c", 5))
    layby.must("activate", customers=list(numbered("c", 5)))
    assign(layby, *numbered("c", 5))
    return layby


def assign(layby: Layby, *customers: str, schedule: str = "dunning") -> None:
    layby.must(
        "assign_schedule", customers=list(customers), schedule=schedule, due_date=IN_UTC.date()
    )


def put_zone(layby: Layby, zone: str) -> None:
    """Commit the new zone, and plan nothing yet."""
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE accounts SET zone = '{zone}', replan_after = '' WHERE account = 'acme'"
        )


def left(layby: Layby) -> str | None:
    after: str | None = layby.one("SELECT replan_after FROM accounts")
    return after


def test_new_zone_moves_what_is_pending_to_the_same_local_time(billed: Layby) -> None:
    billed.must("put_account", zone="Asia/Tokyo")
    assert billed.rows(PLANNED) == [(customer, IN_TOKYO) for customer in numbered("c", 5)]
    assert left(billed) is None
    assert broken(billed.engine) == {}


def test_new_zone_leaves_whom_it_does_not_concern(billed: Layby) -> None:
    """A zone of the customer's or the schedule's own, a pause, an attempt that is repeated."""
    billed.must("put_schedule", schedule="zoned", definition={**BILLS, "zone": "Europe/Paris"})
    billed.must("update_customer", customers=["c-1"], profile={"zone": "America/New_York"})
    billed.must("remove_from_schedule", customers=["c-2"], schedule="dunning")
    assign(billed, "c-2", schedule="zoned")
    billed.must("pause", customers=["c-3"])
    with billed.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE pending SET attempts = 1 WHERE customer = 'c-4'")
    before = dict(billed.rows(PLANNED))
    billed.must("put_account", zone="Asia/Tokyo")
    assert dict(billed.rows(PLANNED)) == {**before, "c-5": IN_TOKYO}


def test_same_zone_again_plans_nothing(billed: Layby) -> None:
    billed.accept("put_account", zone="UTC", name="Acme & Co")
    with billed.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE pending SET planned_at = planned_at + interval '1 h'")
    before = billed.rows("SELECT planned_at FROM pending")
    apply_waiting(billed.engine, billed.account)
    assert billed.rows("SELECT planned_at FROM pending") == before


def test_plans_are_made_in_chunks_that_go_on_where_the_last_one_ended(
    billed: Layby, between: Interleaving
) -> None:
    """One that dies leaves its chunk to the next; a zone that changes again begins anew."""
    put_zone(billed, "Asia/Tokyo")
    assert replan_some(billed.engine, billed.account, 2)
    assert left(billed) == "c-2"
    dying = between.stopped(
        lambda: replan_some(billed.engine, billed.account, 2), having="UPDATE pending"
    )
    with pytest.raises(CrashedError):
        dying.crash().result()
    assert left(billed) == "c-2"
    assert [at for _, at in billed.rows(PLANNED)] == [IN_TOKYO] * 2 + [IN_UTC] * 3
    put_zone(billed, "UTC")
    while replan_some(billed.engine, billed.account, 2):
        pass
    assert [at for _, at in billed.rows(PLANNED)] == [IN_UTC] * 5


def test_zone_that_changes_while_a_chunk_is_planned_leaves_nobody_by_the_old_one(
    billed: Layby, between: Interleaving
) -> None:
    put_zone(billed, "Asia/Tokyo")
    chunk = between.stopped(
        lambda: replan_some(billed.engine, billed.account, 2), having="UPDATE pending"
    )
    change = between.waiting(lambda: put_zone(billed, "Europe/Paris"), for_=chunk)
    chunk.go().result()
    change.result()
    apply_waiting(billed.engine, billed.account)
    in_paris = IN_UTC.replace(hour=8)
    assert [at for _, at in billed.rows(PLANNED)] == [in_paris] * 5


def test_chunk_planned_by_a_zone_that_has_changed_meanwhile_does_not_count(billed: Layby) -> None:
    """It began with the first customer, and so does the new one: only the zone tells."""
    put_zone(billed, "Asia/Tokyo")
    with billed.engine.begin() as connection:
        by_the_old = read_account(connection, billed.account)
        assert by_the_old is not None
        chunk = replans.next_to_replan(connection, billed.account, 2)
        assert chunk is not None
        assert chunk[:2] == ("", ["c-1", "c-2"])
        put_zone(billed, "Europe/Paris")
        replans.replanned(connection, by_the_old, after="", to="c-2")
    assert left(billed) == ""


def test_chunk_planned_by_holidays_that_have_changed_meanwhile_does_not_count(
    billed: Layby,
) -> None:
    put_zone(billed, "Asia/Tokyo")
    with billed.engine.begin() as connection:
        by_the_old = read_account(connection, billed.account)
        assert by_the_old is not None
        with billed.engine.begin() as other:
            other.exec_driver_sql("""UPDATE accounts SET holidays = '{"country": "FR"}'""")
        replans.replanned(connection, by_the_old, after="", to="c-2")
    assert left(billed) == ""


def test_step_planned_by_the_old_zone_and_not_yet_committed_is_waited_for(
    billed: Layby, between: Interleaving
) -> None:
    """The settle has read the old zone; what it plans is planned anew once it has committed."""
    billed.travel(IN_UTC - billed.now)
    start(billed.engine, billed.account)
    opens = started(billed.engine, billed.account)
    settle = between.stopped(
        lambda: answer(billed.engine, opens, Answer.ACCEPTED), having="DELETE FROM started"
    )
    billed.accept("put_account", zone="Asia/Tokyo")
    change = between.waiting(lambda: apply_waiting(billed.engine, billed.account), for_=settle)
    settle.go().result()
    change.result()
    tomorrow = IN_TOKYO.replace(day=7)
    assert [at for _, at in billed.rows(PLANNED)] == [tomorrow] * 5
    assert broken(billed.engine) == {}


def test_account_that_is_not_wholly_planned_is_rung_for(billed: Layby) -> None:
    """Whoever began it may have been killed."""
    put_zone(billed, "Asia/Tokyo")
    bell = CountingBell()
    ring(billed.engine, bell)
    assert bell.rung == ["acme"]
    apply_waiting(billed.engine, billed.account)
    bell.rung.clear()
    ring(billed.engine, bell)
    assert bell.rung == []
