"""A migration only expands: the previous version works on until it is replaced (docs/upgrading.md).

What is to go, goes one version later, in a migration that says from where on it can be used.
"""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from alembic.script import ScriptDirectory
from architecture.catalogue import narrowed, read_catalogue
from databases import Databases
from sqlalchemy import Connection, text

from storage.database import Engine
from storage.migrate import upgrade
from storage.schema import MIGRATIONS

SCRIPTS = list(reversed(list(ScriptDirectory(str(MIGRATIONS)).walk_revisions())))

NARROWING = {
    "a table less": "DROP TABLE facts",
    "a column less": "ALTER TABLE customers DROP COLUMN language",
    "a column by another name": "ALTER TABLE customers RENAME COLUMN language TO locale",
    "a column of another type": "ALTER TABLE customers ALTER COLUMN name TYPE varchar(80)",
    "a column that may not be null any more": "ALTER TABLE customers "
    "ALTER COLUMN name SET NOT NULL",
    "a column without its default": "ALTER TABLE customers ALTER COLUMN kept DROP DEFAULT",
    "a new column that must be given": "ALTER TABLE customers ADD COLUMN colour text NOT NULL",
    "a new CHECK": "ALTER TABLE customers ADD CHECK (length(name) < 80)",
    "a new CHECK on a new column, that null does not pass": "ALTER TABLE customers "
    "ADD COLUMN colour text, ADD CHECK (colour IS NOT NULL OR name IS NULL)",
    "a CHECK that allows less": "ALTER TABLE customers DROP CONSTRAINT customers_place_known, "
    "ADD CONSTRAINT customers_place_known CHECK (place IN ('active', 'archived'))",
    "a new foreign key": "ALTER TABLE sends ADD FOREIGN KEY (account) REFERENCES accounts",
    "a new key": "ALTER TABLE customers ADD UNIQUE (account, email)",
    "a new unique index": "CREATE UNIQUE INDEX ON customers (account, email)",
    "a key less": "ALTER TABLE started DROP CONSTRAINT started_account_enrolment_key",
    "an index less": "DROP INDEX enrolments_live_key",
}
EXPANDING = {
    "a table": "CREATE TABLE colours (colour text PRIMARY KEY)",
    "a column that may be null": "ALTER TABLE customers ADD COLUMN colour text",
    "a column with a default": "ALTER TABLE customers ADD COLUMN colour text NOT NULL DEFAULT ''",
    "an index": "CREATE INDEX ON customers (account, email)",
    "an index less that is not unique": "DROP INDEX enrolments_customer_idx",
    "a CHECK that allows more": "ALTER TABLE customers DROP CONSTRAINT customers_place_known, "
    "ADD CONSTRAINT customers_place_known "
    "CHECK (place IN ('reserve', 'active', 'archived', 'elsewhere'))",
    "a CHECK that a null of a new column passes": "ALTER TABLE customers "
    "ADD COLUMN colour text, ADD CHECK (colour IS NULL OR name IS NOT NULL)",
    "a key that a null of a new column passes": "ALTER TABLE customers ADD COLUMN colour text, "
    "ADD UNIQUE (account, colour)",
}


@pytest.fixture
def empty(databases: Databases) -> Iterator[Engine]:
    """A database without tables."""
    with databases.copy() as new:
        yield new.shared


def test_every_migration_after_the_first_only_expands(empty: Engine) -> None:
    found = {}
    with empty.begin() as connection:
        upgrade(connection, SCRIPTS[0].revision)
        for _, script in pairwise(SCRIPTS):
            before = read_catalogue(connection)
            upgrade(connection, script.revision)
            contracts = hasattr(script.module, "compatible_from")
            found[script.revision] = (
                [] if contracts else narrowed(before, read_catalogue(connection))
            )
    assert found == {script.revision: [] for script in SCRIPTS[1:]}


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        yield connection


@pytest.mark.parametrize("what", NARROWING)
def test_migration_that_takes_something_away_is_found(connection: Connection, what: str) -> None:
    assert changed_by(connection, NARROWING[what]) != []


@pytest.mark.parametrize("what", EXPANDING)
def test_migration_that_only_adds_is_let_through(connection: Connection, what: str) -> None:
    assert changed_by(connection, EXPANDING[what]) == []


def changed_by(connection: Connection, statements: str) -> list[str]:
    before = read_catalogue(connection)
    connection.execute(text(statements))
    return narrowed(before, read_catalogue(connection))
