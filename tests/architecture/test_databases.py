"""A database that goes from test to test is as good as a new one."""

from collections.abc import Callable

import psycopg
import pytest
from databases import Database, Databases
from sqlalchemy import event

from storage.database import Engine

ACCOUNT = "INSERT INTO accounts (account) VALUES ('acme')"
SUBMISSION = "INSERT INTO submissions (command) VALUES ('{}')"
LEDGER = """
    INSERT INTO sends (account, enrolment, step, customer, channel, state, rule, planned_at,
                       business_at)
    VALUES ('acme', 1, 0, 'ann', 'email', 'skipped', 'late', now(), now())
"""
REVISION = "UPDATE alembic_version SET version_num = '0001'"


@pytest.fixture
def own(databases: Databases) -> Databases:
    """Apart from the run's."""
    return Databases(databases.url("postgres"))


def content(database: Database) -> list[object]:
    with psycopg.connect(database.url) as connection:
        return [
            connection.execute(query.encode()).fetchall()
            for query in (
                "SELECT * FROM accounts",
                "SELECT * FROM submissions",
                "SELECT * FROM sends",
                "SELECT * FROM upkeep",
                "SELECT * FROM alembic_version",
                "SELECT last_value, is_called FROM submissions_key_seq",
            )
        ]


def test_next_test_finds_what_the_template_has(own: Databases, template: str) -> None:
    first = own.take(template)
    new = content(first)
    with first.engine().begin() as connection:
        for statement in (ACCOUNT, SUBMISSION, LEDGER, REVISION, "DELETE FROM upkeep"):
            connection.exec_driver_sql(statement)
    assert all(now != then for now, then in zip(content(first), new, strict=True))
    own.give_back(first)
    second = own.take(template)
    assert second.name == first.name
    assert content(second) == new
    own.give_back(second)
    own.close()


def changes_the_schema(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE slots DROP CONSTRAINT slots_only_active")


def gathers_statistics(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(ACCOUNT)
        connection.exec_driver_sql("ANALYZE accounts")


def changes_a_setting(engine: Engine) -> None:
    with engine.begin() as connection:
        name = engine.url.database
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET lock_timeout = 1')


def leaves_many_rows(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO submissions (command) SELECT '{}' FROM generate_series(1, 50000)"
        )


@pytest.mark.parametrize(
    "does",
    [
        changes_the_schema,
        gathers_statistics,
        changes_a_setting,
        leaves_many_rows,
    ],
)
def test_database_that_could_be_told_from_a_new_one_goes(
    own: Databases, template: str, does: Callable[[Engine], None]
) -> None:
    database = own.take(template)
    engine = database.engine()
    does(engine)
    own.give_back(database)
    other = own.take(template)
    assert other.name != database.name
    own.give_back(other)
    own.close()


def test_database_that_somebody_is_connected_to_goes(own: Databases, template: str) -> None:
    database = own.take(template)
    with psycopg.connect(database.url, autocommit=True) as left:
        own.give_back(database)
        with pytest.raises(psycopg.OperationalError):
            left.execute("SELECT 1")
    own.close()


def test_database_that_lets_nobody_wait_for_who_is_connected_goes(
    own: Databases, template: str
) -> None:
    database = own.take(template)
    setting = f'ALTER DATABASE "{database.name}" SET idle_in_transaction_session_timeout = 1'
    with psycopg.connect(database.url, autocommit=True) as left:
        left.execute(setting.encode())
        own.give_back(database)
    other = own.take(template)
    assert other.name != database.name
    own.give_back(other)
    own.close()


def test_who_listens_to_one_test_hears_nothing_of_the_next(own: Databases, template: str) -> None:
    heard: list[str] = []
    first = own.take(template)
    event.listen(first.engine(), "before_cursor_execute", lambda *it: heard.append(it[2]))
    own.give_back(first)
    second = own.take(template)
    with second.engine().begin() as connection:
        connection.exec_driver_sql("SELECT 1")
    assert heard == []
    own.give_back(second)
    own.close()


def test_connection_that_died_is_not_handed_on(own: Databases, template: str) -> None:
    first = own.take(template)
    with first.engine().begin() as connection:
        connection.exec_driver_sql("SELECT 1")
    with psycopg.connect(first.url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    own.give_back(first)
    second = own.take(template)
    assert second.name == first.name
    with second.engine().begin() as connection:
        connection.exec_driver_sql("SELECT 1")
    own.give_back(second)
    own.close()
