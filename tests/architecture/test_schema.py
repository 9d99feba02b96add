"""The page `storage/tables.py` and the migrations build the same database."""

from collections.abc import Iterator

import pytest
from databases import Databases
from sqlalchemy import Connection, text

from storage.database import Engine
from storage.tables import metadata

# Made by and for the month, or by alembic; everything else must be equal.
OURS = """
    c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version'
    AND NOT c.relispartition
"""
CATALOGUE = {
    "tables": f"""
        SELECT c.relname, c.relkind, c.relpersistence, pg_get_partkeydef(c.oid), c.reloptions,
               obj_description(c.oid)
        FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND {OURS}
    """,
    "columns": f"""
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid),
               col_description(c.oid, a.attnum), a.attcollation
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND {OURS}
    """,
    "constraints": f"""
        SELECT c.relname, k.conname, k.contype, pg_get_constraintdef(k.oid), k.convalidated
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE {OURS}
    """,
    "indexes": f"""
        SELECT c.relname, i.relname, pg_get_indexdef(i.oid)
        FROM pg_index x
        JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
        WHERE {OURS}
    """,
}
"""Each catalogue with what tells two objects apart; without positions, which nothing relies on."""


@pytest.fixture
def built_from_the_page(databases: Databases) -> Iterator[Connection]:
    """A second database, empty, with `storage/tables.py` created in it."""
    with databases.copy() as page, page.shared.begin() as connection:
        metadata.create_all(connection)
        yield connection


def read(connection: Connection, what: str) -> set[tuple[object, ...]]:
    rows = connection.execute(text(CATALOGUE[what]))
    return {tuple(str(value) for value in row) for row in rows}


@pytest.mark.parametrize("what", sorted(CATALOGUE))
def test_migrations_build_what_the_page_says(
    engine: Engine, built_from_the_page: Connection, what: str
) -> None:
    with engine.connect() as connection:
        migrated = read(connection, what)
    page = read(built_from_the_page, what)
    assert page
    assert sorted(migrated - page) == [], "only in the migrated database"
    assert sorted(page - migrated) == [], "only on the page"


def test_every_key_of_an_accounts_table_begins_with_the_account() -> None:
    """G8: no row can refer to another account's."""
    for table in metadata.tables.values():
        if "account" not in table.columns:
            continue
        assert next(iter(table.primary_key.columns)).name == "account", table.name
        for key in table.foreign_key_constraints:
            assert next(iter(key.columns)).name == "account", (table.name, key.name)
            assert key.ondelete is None, (table.name, key.name)
