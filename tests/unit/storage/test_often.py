"""What goes to the driver as it is: told, refused and lost like every other statement."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, text

from storage.database import DatabaseError, Engine, connect, is_lost, reading
from storage.often import Often

AS_NUMBER = Often("SELECT CAST(:said AS bigint)")
AS_JSON = Often("SELECT CAST(:said AS jsonb)")


@pytest.fixture
def single(database_url: str) -> Iterator[Engine]:
    """One connection: what is wrong with it is wrong for whoever comes next."""
    engine = connect(database_url, connections=1)
    yield engine
    engine.dispose()


def test_what_it_writes_is_undone_with_its_transaction(single: Engine) -> None:
    write = Often("INSERT INTO accounts (account) VALUES (:account) RETURNING account")
    with single.connect() as connection, connection.begin() as transaction:
        assert write.rows(connection, {"account": "acme"}) == [("acme",)]
        transaction.rollback()
    with single.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM accounts")).scalar_one() == 0


def test_error_is_the_one_of_every_other_statement_and_tells_no_parameters(single: Engine) -> None:
    seen: list[Any] = []
    event.listen(single, "handle_error", lambda context: seen.append(context.original_exception))
    divide = Often("SELECT 1 / CAST(:said AS int), CAST(:secret AS text)")
    parameters = {"said": "0", "secret": "ann@secret.example"}
    with single.connect() as connection, pytest.raises(DatabaseError) as raised:
        divide.rows(connection, parameters)
    assert seen == [raised.value.orig]
    assert "ann@secret.example" not in str(raised.value)


def test_connection_that_is_lost_leaves_the_pool(single: Engine, engine: Engine) -> None:
    with single.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with engine.begin() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        with pytest.raises(DatabaseError) as raised:
            AS_NUMBER.rows(connection, {"said": "1"})
    assert is_lost(raised.value)
    with reading(single) as connection:
        assert AS_NUMBER.rows(connection, {"said": "2"}) == [(2,)]


@pytest.mark.parametrize(
    "value",
    [
        {"amount": "12.50", "of": [1, 2.5, None, True], "big": 10**30},
        json.loads("[" * 500 + "]" * 500),
    ],
    ids=["as values are", "nested deep"],
)
def test_json_is_read_as_it_was_written(single: Engine, value: object) -> None:
    with reading(single) as connection:
        assert AS_JSON.rows(connection, {"said": json.dumps(value)}) == [(value,)]
