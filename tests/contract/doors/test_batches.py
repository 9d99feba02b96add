"""Several commands at once through every door: in the order sent, and no two batches deadlock."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest
from concurrency.interleave import Interleaving, backend, errors_by_state, until, waits_for
from contract.doors.conftest import DOORS, Doors
from contract.doors.door import RefusedAtTheDoorError
from contract.doors.written import raw, set_up
from harness import numbered

from domain.commands import BULK_FROM
from storage.database import Connection, Engine
from workers.intake import accept_raw

EVERY_DOOR = pytest.mark.parametrize("name", [door.name for door in DOORS])
ALL = list(numbered("c", BULK_FROM + 1))


@pytest.fixture
def between(engine: Engine) -> Iterator[Interleaving]:
    with Interleaving(engine) as interleaving:
        yield interleaving


def accept(connection: Connection, command: bytes) -> None:
    assert accept_raw(connection, command, "another") is not None


def bring(doors: Doors, name: str, batch: list[bytes]) -> None:
    doors[name].submit_all(batch)
    doors.take_in()


def while_another_door_brings(
    doors: Doors, name: str, between: Interleaving, batch: list[bytes], others: list[bytes]
) -> None:
    """Both bring the same, in opposite orders; the other one has begun, and ends as if alone."""
    engine = doors.layby.engine
    doors[name]  # its connections and tokens are made before
    with errors_by_state(engine) as errors:
        with engine.connect() as another:
            another.exec_driver_sql("SET LOCAL lock_timeout = '200ms'")  # it never has to wait
            accept(another, others[0])
            task = between.run(partial(bring, doors, name, batch))
            until(partial(waits_for, engine, backend(another)), f"{name} waits for another door")
            for command in others[1:]:
                accept(another, command)
            another.commit()
        task.result()
    assert errors == {}


@EVERY_DOOR
def test_two_that_bring_the_same_ids_in_opposite_orders_do_not_deadlock(
    doors: Doors, name: str, between: Interleaving
) -> None:
    ann, bob = (raw(id_, "pause", customers=[id_]) for id_ in ("ann", "bob"))
    while_another_door_brings(doors, name, between, [bob, ann], [ann, bob])
    assert sorted(doors.kept()) == [("ann", "accepted"), ("bob", "accepted")]
    while_another_door_brings(doors, name, between, [bob, ann], [ann, bob])  # which are there now
    assert doors.layby.one("SELECT count(*) FROM commands") == 2


@EVERY_DOOR
def test_two_for_customers_of_an_unresolved_list_in_opposite_orders_do_not_deadlock(
    doors: Doors, name: str, between: Interleaving
) -> None:
    """Either puts the list's targets before its own."""
    with doors.layby.engine.begin() as connection:
        accept(connection, raw("all", "pause", customers=ALL))
    one = [raw(f"a-{customer}", "resume", customers=[customer]) for customer in ("c-1", "c-2")]
    two = [raw(f"b-{customer}", "resume", customers=[customer]) for customer in ("c-2", "c-1")]
    two[1] = raw("c", "resume", customers=["c-1"])  # by their ids, too
    while_another_door_brings(doors, name, between, two, one)
    first = "SELECT customer FROM command_targets WHERE bulk ORDER BY customer"
    assert doors.layby.rows(first) == [("c-1",), ("c-2",)]


@EVERY_DOOR
def test_batch_is_applied_in_the_order_sent_whatever_its_ids(doors: Doors, name: str) -> None:
    """What ends a silence is not taken for issued before it; a list comes before what follows."""
    doors.set_up(name, set_up(active_limit=2 * BULK_FROM, directory_limit=2 * BULK_FROM))
    silenced = [raw("z", "pause", customers=["c-1"]), raw("y", "resume", customers=["c-1"])]
    then_all = [raw("x", "pause", customers=ALL), raw("w", "resume", customers=["c-2"])]
    added = [raw("v", "add_customer", customers=ALL), raw("u", "activate", customers=ALL)]
    doors[name].submit_all([*added, *silenced, *then_all])
    doors.apply()
    assert doors.kept()[-6:] == [(id_, "applied") for id_ in "vuzyxw"]
    assert doors.layby.one("SELECT count(*) FROM slots WHERE paused_at IS NULL") == 1


@EVERY_DOOR
def test_command_that_comes_twice_in_a_batch_is_accepted_once(doors: Doors, name: str) -> None:
    again = raw("x", "pause", customers=["ann"])
    doors[name].submit_all([again, raw("b", "resume", customers=["ann"]), again])
    doors.take_in()
    assert doors.kept() == [("x", "accepted"), ("b", "accepted")]


SPOILS_AND_DEADLOCKS = """
    CREATE SEQUENCE tried;
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.command = 'spoils' THEN
            RAISE EXCEPTION 'no room for this one' USING ERRCODE = 'data_exception';
        ELSIF NEW.command = 'x' AND nextval('tried') = 1 THEN
            RAISE EXCEPTION 'by chance' USING ERRCODE = 'deadlock_detected';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON commands FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.mark.parametrize("name", ["stream", "sql", "http"])
def test_deadlock_is_not_taken_for_a_fault_of_the_command(doors: Doors, name: str) -> None:
    """Also where each of a batch is tried on its own, because one spoils it."""
    door = doors[name]
    with doors.layby.engine.begin() as connection:
        connection.exec_driver_sql(SPOILS_AND_DEADLOCKS)
    with suppress(RefusedAtTheDoorError):
        door.submit_all([raw(id_, "pause", customers=["ann"]) for id_ in ("spoils", "x")])
    doors.take_in()
    assert ("x", "accepted") in doors.kept()


def test_command_corrected_in_the_same_reading_takes_its_place_in_the_order(
    doors: Doors,
) -> None:
    stream = doors["stream"]
    for command in (
        raw("z", "pause", customer="ann"),
        raw("z", "pause", customers=["ann"]),
        raw("a", "resume", customers=["ann"]),
    ):
        stream.submit(command)
    doors.take_in()
    assert doors.kept() == [("z", "accepted"), ("a", "accepted")]
