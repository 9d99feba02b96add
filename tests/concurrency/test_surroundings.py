"""What others set, or let run out: the server's administrators, its disk, its clock."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count

import psycopg
import pytest
import redis
from concurrency.interleave import Interleaving, errors_by_state, planted, until
from concurrency.parts import answer, start, started
from counting_bell import CountingBell
from databases import Database, Databases
from harness import Layby
from sqlalchemy import text
from surroundings import set_for_all

from domain.commands import read_command
from domain.message import Answer, Channel
from domain.switch import Scope, Switch
from scheduler.pruning import Pruning
from scheduler.ticks import make_partitions
from storage import partitions as partitions_
from storage.accounts import database_now
from storage.database import (
    DatabaseError,
    DatabaseUnreachableError,
    check_reachable,
    connect,
    transact,
)
from storage.migrate import migrate
from storage.retention import Keep
from storage.schema import SchemaError
from workers import switches
from workers.broker import RedisBell, make_broker
from workers.intake import STREAM, Intake
from workers.sending import accept_all
from workers.submissions import Submissions


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_facts_are_read_as_of_the_locks_whatever_isolation_is_the_default(
    people: Layby, database: Database, level: str
) -> None:
    """A start that waited for a pause sees it: at that level its snapshot would be an older one."""
    with (
        set_for_all(people, database, f"default_transaction_isolation = '{level}'") as engine,
        Interleaving(engine) as between,
    ):
        switch = Switch(Scope.CHANNEL, Channel.EMAIL)
        pause = between.stopped(
            lambda: switches.pause(engine, switch), having="INSERT INTO switches"
        )
        starting = between.waiting(lambda: start(engine, people.account), for_=pause)
        assert pause.go().result().in_progress == 0
        assert starting.result() == {}


def test_moments_are_read_whatever_way_the_database_writes_them(
    layby: Layby, database: Database
) -> None:
    with set_for_all(layby, database, "DateStyle = 'SQL, DMY'") as engine:
        migrate(engine)
        engine.dispose()
        with engine.connect() as connection:
            assert database_now(connection).tzinfo is not None


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_database_that_cannot_keep_every_name_is_refused(
    databases: Databases, encoding: str
) -> None:
    """Before it has tables: a customer's name would be what fails."""
    name = f"test_of_{encoding.lower()}"
    make = f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
    with psycopg.connect(databases.url("postgres"), autocommit=True) as server:
        server.execute(make.encode())
        engine = connect(databases.url(name))
        try:
            with pytest.raises(SchemaError, match=f"encoding is {encoding}"):
                migrate(engine)
        finally:
            engine.dispose()
            server.execute(f"DROP DATABASE {name}".encode())


@pytest.fixture
def intake(layby: Layby, redis_client: redis.Redis) -> Intake:
    return Intake(redis_client, layby.engine, RedisBell(make_broker(redis_client)), "first")


def long_import(command: str) -> str:
    rows = "".join(f"c-{number}\n" for number in range(5_000))
    named = {"id": command, "account": "acme", "kind": "import_customers"}
    return json.dumps({**named, "csv": f"id\n{rows}"})


AT_ONCE = "idle_in_transaction_session_timeout = '20ms'"
"""Far less than it takes to read such an import, as two seconds are for a longer one."""


def test_import_that_takes_long_to_read_does_not_hold_up_the_stream_for_ever(
    layby: Layby, database: Database, redis_client: redis.Redis
) -> None:
    """The server would end the transaction in which it is read, again and again."""
    redis_client.xadd(STREAM, {"command": long_import("long")})
    looks = count()
    with set_for_all(layby, database, AT_ONCE) as engine:
        bell = RedisBell(make_broker(redis_client))
        intake = Intake(redis_client, engine, bell, "first")
        intake.run(lambda: next(looks) > 3 or states(layby) != {})
    assert states(layby) == {"long": "accepted"}


def test_import_that_takes_long_to_read_is_taken_in_from_sql(
    layby: Layby, database: Database
) -> None:
    with psycopg.connect(database.url) as caller:
        caller.execute("SELECT layby_submit(CAST(%s AS jsonb))", [long_import("long")])
    with set_for_all(layby, database, AT_ONCE) as engine:
        assert Submissions(engine, CountingBell()).take_once() == 1
    assert states(layby) == {"long": "accepted"}


def test_imports_that_come_together_are_taken_in_together(layby: Layby, database: Database) -> None:
    commands = [read_command(long_import(one)) for one in ("first", "second")]
    with set_for_all(layby, database, AT_ONCE) as engine:
        accept_all(engine, CountingBell(), commands, "send")
    assert states(layby) == {"first": "accepted", "second": "accepted"}


def states(layby: Layby) -> dict[str, str]:
    return dict(layby.rows("SELECT command, state FROM commands ORDER BY seq"))


LACKS = {
    "53100": "the disk is full",
    "53200": "memory is used up",
    "58030": "a disk fails",
    "25006": "it may only be read",
    "57014": "statement_timeout",
    "55P03": "lock_timeout",
}


@contextmanager
def lacking(layby: Layby, state: str, table: str) -> Iterator[None]:
    """Whoever writes to a table gets the server's error."""
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            f"""
            CREATE FUNCTION lack() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = 'no'; END $$;
            CREATE TRIGGER lack BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION lack();
            """
        )
    yield
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("DROP FUNCTION lack() CASCADE")


def test_silence_is_not_refused_for_what_the_server_lacks_for_a_while(people: Layby) -> None:
    """It waits as it would for a server that is away: refused, its messages would go out."""
    move = people.accept("move_to_directory", customers=["ann"])
    for state, lack in LACKS.items():
        with lacking(people, state, "sends"), pytest.raises(DatabaseError):
            people.ring()
        assert people.outcome(move).state == "accepted", lack
    assert people.apply(move).state == "applied"


def test_answers_are_kept_in_memory_while_the_disk_is_full(
    people: Layby, between: Interleaving
) -> None:
    """What has gone out is known: it does not become unknown for that."""
    start(people.engine, people.account)
    known = started(people.engine, people.account)
    with errors_by_state(people.engine) as errors:
        with lacking(people, "53100", "sends"):
            settling = between.run(lambda: answer(people.engine, known, Answer.ACCEPTED))
            until(lambda: "53100" in errors, "a full disk is met")
        settling.result()
    assert people.ledger("ann") == [(0, "sent", "accepted")]


def test_what_the_stream_brings_is_not_set_aside_because_the_disk_is_full(
    layby: Layby, redis_client: redis.Redis, intake: Intake, between: Interleaving
) -> None:
    pause = {"id": "p", "account": "acme", "kind": "pause", "customers": ["ann"]}
    redis_client.xadd(STREAM, {"command": json.dumps(pause)})
    with errors_by_state(layby.engine) as errors:
        with lacking(layby, "53100", "command_targets"):
            reading_ = between.run(intake.read_once)
            until(lambda: "53100" in errors, "a full disk is met")
        assert reading_.result() == 1
    assert states(layby) == {"p": "accepted"}


def test_connection_to_what_may_only_be_read_is_given_up(layby: Layby, database: Database) -> None:
    """A name that still leads to the old primary when it is asked for, and to the new one later."""
    layby.set_up()
    engine = connect(database.url, connections=1)
    with engine.begin() as connection:
        connection.exec_driver_sql("SET default_transaction_read_only = on")
    renamed = transact(
        engine,
        lambda connection: connection.execute(text("UPDATE accounts SET name = 'Acme & Co'")),
        patience_seconds=1,
    )
    engine.dispose()
    assert renamed.rowcount == 1


def test_server_that_may_only_be_read_is_told_at_the_start(
    layby: Layby, database: Database
) -> None:
    with (
        set_for_all(layby, database, "default_transaction_read_only = on") as engine,
        pytest.raises(DatabaseUnreachableError, match="it is a standby"),
    ):
        check_reachable(engine)


def of_a_coming_month(people: Layby, months: int) -> None:
    """As if the database's clock had been that far ahead when the ledger's rows were written."""
    with people.engine.begin() as connection:
        connection.execute(
            text("UPDATE sends SET settled_at = now() + make_interval(months => :months)"),
            {"months": months},
        )


def partitions(people: Layby) -> list[str]:
    return [
        row[0]
        for row in people.rows(
            "SELECT to_char(now() + make_interval(months => n), '\"sends_\"YYYYMM') "
            "FROM generate_series(0, 6) AS n WHERE to_regclass(to_char("
            "now() + make_interval(months => n), '\"sends_\"YYYYMM')) IS NOT NULL ORDER BY n"
        )
    ]


def test_month_whose_sends_are_there_before_its_partition_keeps_nobody_from_the_others(
    people: Layby, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that was ahead, or months without a scheduler: partitions and upgrades go on."""
    people.deliver()
    of_a_coming_month(people, 5)
    before = partitions(people)
    monkeypatch.setattr(partitions_, "_MONTHS_AHEAD", 6)  # two months have passed
    make_partitions(people.engine)
    migrate(people.engine)
    made = partitions(people)
    assert len(before) == 4
    assert len(made) == 6  # all but the fifth
    assert people.one("SELECT count(*) FROM sends_default") == 2


def test_ledger_of_a_month_without_a_partition_is_pruned_too(people: Layby) -> None:
    people.deliver()
    people.must("move_to_directory", customers=["ann"])
    of_a_coming_month(people, -36)
    assert people.one("SELECT count(*) FROM sends_default") == 3
    Pruning(people.engine, Keep(ledger=timedelta(days=365))).prune()
    assert people.rows("SELECT DISTINCT customer FROM sends_default") == [("bob",)]


def test_tick_goes_on_where_a_partition_cannot_be_made_behind_a_reader(people: Layby) -> None:
    month = people.one("SELECT to_char(now(), '\"sends_\"YYYYMM')")
    with people.engine.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE {month}")
    with people.engine.connect() as reader, planted(people.engine, "= '2s'", "= '5ms'"):
        reader.exec_driver_sql("SELECT 1 FROM sends")
        make_partitions(people.engine)
    assert people.one(f"SELECT to_regclass('{month}')") is None
    make_partitions(people.engine)
    assert people.one(f"SELECT to_regclass('{month}')") is not None
