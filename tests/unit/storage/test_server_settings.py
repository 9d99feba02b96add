"""What an administrator can set so that a guarantee no longer holds: it is said in plain words."""

import pytest
from databases import Database
from sqlalchemy import Connection

from storage.database import Engine
from storage.migrate import migrate
from storage.schema import SchemaError, check_schema
from storage.server_settings import hurried, weakened


def told(connection: Connection) -> list[str]:
    """What is said beside what is said of the server of tests."""
    found = weakened(connection)
    return [one for one in found if not one.startswith(("fsync", "full_page_writes", "synchr"))]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SET zero_damaged_pages = on", "rows of a damaged page vanish"),
        ("SET ignore_checksum_failure = on", "damaged pages are read"),
        ("ALTER TABLE pending SET UNLOGGED", "The table pending is unlogged"),
    ],
)
def test_setting_that_takes_a_guarantee_away_is_told(
    engine: Engine, statement: str, said: str
) -> None:
    with engine.connect() as connection:
        assert told(connection) == []
        connection.exec_driver_sql(statement)
        (one,) = told(connection)
        assert said in one
        connection.rollback()


def test_server_that_does_not_write_through_is_told(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        found = {one.split()[0] for one in weakened(connection)}
        off = {
            name
            for name in ("fsync", "full_page_writes", "synchronous_commit")
            if connection.exec_driver_sql(f"SHOW {name}").scalar_one() == "off"
        }
    assert found == off >= {"synchronous_commit"}


def test_rows_that_row_security_hides_are_told(engine: Engine) -> None:
    """An audit could not: it would not see them either."""
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "CREATE ROLE layby_test_plain; GRANT SELECT ON ALL TABLES IN SCHEMA public "
            "TO layby_test_plain; ALTER TABLE slots ENABLE ROW LEVEL SECURITY; "
            "SET LOCAL ROLE layby_test_plain"
        )
        (one,) = told(connection)
        assert "hides rows of the table slots" in one
        connection.rollback()


def test_time_limit_of_seconds_is_told_and_one_of_minutes_is_not(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("SET LOCAL statement_timeout = '20s'")
        (one,) = hurried(connection)
        assert "statement_timeout is 20 s" in one
        connection.exec_driver_sql("SET LOCAL statement_timeout = '5min'")
        assert hurried(connection) == []


@pytest.mark.parametrize(("given", "kept"), [("off", "on"), ("remote_apply", "remote_apply")])
def test_commits_are_written_whatever_the_server_says(
    engine: Engine, database: Database, given: str, kept: str
) -> None:
    """Who asks for more than that keeps it."""
    with engine.begin() as connection:
        statement = f"ALTER DATABASE {database.name} SET synchronous_commit = {given}"
        connection.exec_driver_sql(statement)
    engine.dispose()
    migrate(engine)
    engine.dispose()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == kept


def test_nothing_starts_where_foreign_keys_are_off(engine: Engine) -> None:
    with engine.connect() as connection:
        check_schema(connection)
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        with pytest.raises(SchemaError, match="no foreign key is enforced"):
            check_schema(connection)
