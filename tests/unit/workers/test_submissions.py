"""The SQL door: what its caller may count on, and what intake makes of it."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis
from concurrency.interleave import CrashedError, Interleaving, until, waits_for
from counting_bell import CountingBell
from harness import Layby, soon

from domain.commands import read_command
from storage.database import Engine
from workers import intake as intake_
from workers import submissions as submissions_
from workers.broker import RedisBell, connect_redis_impatiently, make_broker
from workers.submissions import Submissions

SUBMIT = "SELECT layby_submit(CAST(%s AS jsonb))"


@pytest.fixture
def bell() -> CountingBell:
    return CountingBell()


@pytest.fixture
def taker(layby: Layby, bell: CountingBell) -> Submissions:
    return Submissions(layby.engine, bell)


@pytest.fixture
def caller(database_url: str) -> Iterator[psycopg.Connection]:
    """Somebody's own connection, in a transaction of its own."""
    with psycopg.connect(database_url) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def between(engine: Engine) -> Iterator[Interleaving]:
    with Interleaving(engine) as interleaving:
        yield interleaving


def written(name: str, kind: str = "pause", **fields: Any) -> str:
    customers = {"customers": ["ann"]} if "customers" not in fields else {}
    return json.dumps({"id": name, "account": "acme", "kind": kind, **customers, **fields})


def submit(connection: psycopg.Connection, *names: str) -> None:
    for name in names:
        connection.execute(SUBMIT, [written(name)])


def kept(layby: Layby) -> list[tuple[Any, ...]]:
    return layby.rows("SELECT command, state FROM commands ORDER BY seq")


def test_submission_answers_with_its_id_and_is_taken_in_after_the_commit(
    layby: Layby, taker: Submissions, caller: psycopg.Connection, bell: CountingBell
) -> None:
    assert caller.execute(SUBMIT, [written("1")]).fetchall() == [("1",)]
    assert taker.take_once() == 0
    caller.commit()
    assert taker.take_once() == 1
    assert kept(layby) == [("1", "accepted")]
    assert bell.rung == ["acme"]
    assert layby.rows("SELECT 1 FROM submissions") == []
    assert taker.take_once() == 0


def test_roll_back_of_the_caller_leaves_nothing(
    layby: Layby, taker: Submissions, caller: psycopg.Connection
) -> None:
    submit(caller, "1")
    with caller.transaction(force_rollback=True):
        submit(caller, "2")
    caller.rollback()
    submit(caller, "3")
    caller.commit()
    taker.take_once()
    assert kept(layby) == [("3", "accepted")]


def test_transaction_that_commits_late_holds_up_nobody_and_is_not_missed(
    layby: Layby, taker: Submissions, caller: psycopg.Connection, database_url: str
) -> None:
    """Its key is the lower one, and those behind it are long taken in when it comes."""
    submit(caller, "late")
    with psycopg.connect(database_url) as other:
        submit(other, "1", "2")
        other.commit()
        taker.take_once()
        assert kept(layby) == [("1", "accepted"), ("2", "accepted")]
        caller.commit()
        submit(other, "3")
        other.commit()
    taker.take_once()
    assert [command for command, _ in kept(layby)] == ["1", "2", "late", "3"]


def test_more_than_one_batch_is_taken_in_in_the_order_of_the_calls(
    layby: Layby, taker: Submissions, caller: psycopg.Connection
) -> None:
    names = [f"n-{n}" for n in range(450)]
    submit(caller, *names)
    caller.commit()
    assert [taker.take_once() for _ in range(4)] == [200, 200, 50, 0]
    assert [command for command, _ in kept(layby)] == names


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "it is NULL, and a command is a JSON object"),
        ("[]", "it is JSON of type array"),
        ('"text"', "it is JSON of type string"),
        ("{}", "its id is missing"),
        ('{"id": 7, "account": "a", "kind": "pause"}', "its id is JSON of type number"),
        ('{"id": "", "account": "a", "kind": "pause"}', "its id is empty"),
        ('{"id": "1", "account": null, "kind": "pause"}', "its account is JSON of type null"),
        ('{"id": "1", "account": "a"}', "its kind is missing"),
    ],
)
def test_what_is_no_command_is_an_error_in_the_callers_transaction(
    caller: psycopg.Connection, given: str | None, said: str
) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue) as raised:
        caller.execute(SUBMIT, [given])
    assert said in str(raised.value.diag.message_primary)
    hint = str(raised.value.diag.message_hint)
    assert 'SELECT layby_submit(\'{"id": "m-1"' in hint
    caller.rollback()
    assert caller.execute(hint.partition(": ")[2]).fetchall() == [("m-1",)]


def test_submission_that_cannot_be_read_is_quarantined_and_holds_up_nothing(
    layby: Layby, taker: Submissions, caller: psycopg.Connection
) -> None:
    caller.execute(SUBMIT, [written("1", "explode")])
    submit(caller, "2")
    caller.commit()
    taker.take_once()
    assert kept(layby) == [("1", "quarantined"), ("2", "accepted")]


def test_submission_that_the_database_cannot_keep_is_set_aside_alone(
    layby: Layby, taker: Submissions, caller: psycopg.Connection
) -> None:
    """The batch is one transaction; whatever spoils it must not come back for ever."""
    spoil(layby)
    submit(caller, "1", "spoilt", "3")
    caller.commit()
    taker.take_once()
    assert [state for _, state in kept(layby)] == ["accepted", "quarantined", "accepted"]
    assert "no room" in layby.one("SELECT problem FROM commands WHERE state = 'quarantined'")
    assert layby.rows("SELECT 1 FROM submissions") == []


def spoil(layby: Layby) -> None:
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            """
            CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no room'; END $$;
            CREATE TRIGGER spoil BEFORE INSERT ON commands FOR EACH ROW
            WHEN (NEW.command = 'spoilt' AND NEW.state = 'accepted') EXECUTE FUNCTION spoil();
            """
        )


def test_command_that_trips_a_defect_of_ours_is_quarantined_too(
    layby: Layby,
    taker: Submissions,
    caller: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Planted: the reader breaks on it. It must not strand what comes behind."""
    reads = read_command

    def breaks(raw: bytes) -> Any:
        return 1 // 0 if b"trips" in raw else reads(raw)

    monkeypatch.setattr(intake_, "read_command", breaks)
    submit(caller, "trips", "2")
    caller.commit()
    taker.take_once()
    assert kept(layby) == [("trips", "quarantined"), ("2", "accepted")]
    assert "ZeroDivisionError" in layby.one("SELECT problem FROM commands WHERE command = 'trips'")


def test_taker_that_dies_before_its_commit_leaves_all_of_it_to_the_next(
    layby: Layby, taker: Submissions, caller: psycopg.Connection, between: Interleaving
) -> None:
    submit(caller, "1", "2")
    caller.commit()
    dying = between.stopped(taker.take_once, having="DELETE FROM submissions")
    next_ = between.waiting(taker.take_once, for_=dying)
    with pytest.raises(CrashedError):
        dying.crash().result()
    assert next_.result() == 2
    assert kept(layby) == [("1", "accepted"), ("2", "accepted")]


def test_two_takers_at_once_take_each_submission_once(
    layby: Layby, taker: Submissions, caller: psycopg.Connection, between: Interleaving
) -> None:
    submit(caller, "1", "2")
    caller.commit()
    first = between.stopped(taker.take_once, having="DELETE FROM submissions")
    submit(caller, "3")
    caller.commit()
    second = between.waiting(taker.take_once, for_=first)
    assert (first.go().result(), second.result()) == (2, 1)
    assert [command for command, _ in kept(layby)] == ["1", "2", "3"]


def test_submissions_that_somebody_holds_do_not_hold_up_the_stream(
    layby: Layby, taker: Submissions, caller: psycopg.Connection, redis_client: redis.Redis
) -> None:
    """The rows are waited for before the lock that the stream's reader needs."""
    submit(caller, "1")
    caller.commit()
    caller.execute("SELECT 1 FROM submissions FOR UPDATE")
    with Interleaving(layby.engine) as between:
        held = between.run(taker.take_once)
        pid = caller.info.backend_pid
        until(lambda: waits_for(layby.engine, pid), "the taker waits for the row")
        redis_client.xadd("layby:commands", {"command": written("2")})
        reader = intake_.Intake(redis_client, layby.engine, CountingBell(), "reader")
        assert between.run(reader.read_once).result(within_seconds=10) == 1
        caller.rollback()
        assert held.result() == 1
    assert [command for command, _ in kept(layby)] == ["2", "1"]


def test_redis_that_is_away_keeps_no_submission_from_being_taken_in(
    layby: Layby, caller: psycopg.Connection
) -> None:
    """Its ring is lost, and the next tick rings: by a bell that does not wait."""
    nowhere = connect_redis_impatiently("redis://127.0.0.1:1")
    taker = Submissions(layby.engine, RedisBell(make_broker(nowhere)))
    submit(caller, "1")
    caller.commit()
    bound = soon()
    assert taker.take_once() == 1
    assert not bound.passed
    assert kept(layby) == [("1", "accepted")]


def test_no_more_is_taken_at_once_than_may_be_held(
    layby: Layby,
    taker: Submissions,
    caller: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long they are: up to so many bytes and the one that exceeds them, in order."""
    monkeypatch.setattr(submissions_, "_TAKE_BYTES", 1000)
    for name in "12345":
        caller.execute(SUBMIT, [written(name, reason="r" * 600)])
    caller.commit()
    assert [taker.take_once() for _ in range(3)] == [2, 2, 1]
    assert [command for command, _ in kept(layby)] == list("12345")


def test_bulk_submission_rings_for_bulk_work(
    layby: Layby, caller: psycopg.Connection, redis_client: redis.Redis
) -> None:
    taker = Submissions(layby.engine, RedisBell(make_broker(redis_client)))
    caller.execute(SUBMIT, [written("1", customers={"idle_for": "P180D"})])
    caller.commit()
    assert taker.take_once() == 1
    assert [redis_client.llen(f"layby:{queue}") for queue in ("bulk", "lifecycle")] == [1, 0]


@pytest.fixture
def stranger(caller: psycopg.Connection, database_url: str) -> Iterator[psycopg.Connection]:
    """A role with no rights but what is granted to it, and a schema of its own."""
    role = f"billing_{uuid4().hex[:8]}"
    caller.execute(f"CREATE ROLE {role} LOGIN; CREATE SCHEMA {role} AUTHORIZATION {role}".encode())
    caller.commit()
    with psycopg.connect(database_url) as connection:
        connection.execute(f"SET ROLE {role}".encode())
        connection.commit()
        yield connection
    caller.rollback()
    caller.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
    caller.commit()


def grant(caller: psycopg.Connection, to: psycopg.Connection) -> None:
    (role,) = to.execute("SELECT current_user").fetchone() or ("",)
    to.rollback()  # rights are looked up anew in a new transaction
    caller.execute(f"GRANT EXECUTE ON FUNCTION layby_submit(jsonb) TO {role}".encode())
    caller.commit()


def test_only_who_was_granted_it_may_submit_and_nothing_else(
    layby: Layby, taker: Submissions, caller: psycopg.Connection, stranger: psycopg.Connection
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        submit(stranger, "1")
    stranger.rollback()
    grant(caller, stranger)
    submit(stranger, "2")
    stranger.commit()
    for table in ("submissions", "commands"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.execute(f"SELECT 1 FROM {table}".encode())
        stranger.rollback()
    taker.take_once()
    assert kept(layby) == [("2", "accepted")]


def test_caller_cannot_put_tables_or_operators_of_its_own_in_the_way(
    layby: Layby, caller: psycopg.Connection, stranger: psycopg.Connection
) -> None:
    """The function has its owner's rights, and so a path that its caller can't choose."""
    grant(caller, stranger)
    (own,) = stranger.execute("SELECT current_user").fetchone() or ("",)
    stranger.execute(
        f"""
        CREATE TABLE {own}.submissions (key int, command jsonb);
        CREATE TEMPORARY TABLE submissions (key int, command jsonb);
        CREATE FUNCTION {own}.jsonb_typeof(jsonb) RETURNS text LANGUAGE sql AS
        $$ SELECT 'number' $$;
        SET search_path = {own}, pg_catalog, public
        """.encode()
    )
    submit(stranger, "1")
    stranger.commit()
    assert layby.one("SELECT command->>'id' FROM submissions") == "1"


def test_caller_shares_no_lock_with_intake_or_with_another_caller(
    layby: Layby, taker: Submissions, caller: psycopg.Connection, between: Interleaving
) -> None:
    """Of the same id, and each of them in a transaction that is still open."""
    submit(caller, "1")
    caller.commit()
    busy = between.stopped(taker.take_once, having="DELETE FROM submissions")
    submit(caller, "1")
    with psycopg.connect(caller.info.dsn) as other:
        other.execute("SET LOCAL lock_timeout = '1ms'")
        submit(other, "1")
    caller.commit()
    busy.go().result()
    assert layby.one("SELECT count(*) FROM submissions") == 2
