"""One version beside the next: on a database that the newer one has migrated already."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from harness import Layby

from scheduler.ticks import make_partitions, sweep
from storage.audit import run_audit
from storage.database import Engine
from storage.migrate import migrate
from storage.schema import MIGRATIONS, SchemaError, check_schema

# What a newer version may do: here, to every table there is.
LATER = '''
"""A later version's migration, which only expands."""

from alembic import op

revision = "9999"
down_revision = "{head}"
{declared}


def upgrade() -> None:
    op.get_bind().exec_driver_sql("""
        DO $$ DECLARE t regclass; BEGIN
            FOR t IN SELECT c.oid::regclass FROM pg_class c
                     WHERE relkind IN ('r', 'p') AND NOT relispartition
                       AND relname <> 'alembic_version'
                       AND relnamespace = 'public'::regnamespace LOOP
                EXECUTE 'ALTER TABLE ' || t || ' ADD COLUMN later int NOT NULL DEFAULT 1';
            END LOOP;
        END $$;
        CREATE TABLE later (account text, what text);
        CREATE INDEX ON pending (account, later, due_at);
    """)
'''


def later_version(folder: Path, head: str, declared: str = "") -> Path:
    migrations = folder / "migrations"
    shutil.copytree(MIGRATIONS, migrations)
    later = LATER.format(head=head, declared=declared)
    (migrations / "versions" / "9999_later.py").write_text(later, encoding="utf-8")
    return migrations


def revision(engine: Engine) -> str:
    with engine.connect() as connection:
        return check_schema(connection)


def test_this_version_works_on_and_starts_anew_where_a_later_one_has_migrated(
    layby: Layby, tmp_path: Path
) -> None:
    """Migrate first, then restart processes one by one: each guarantee holds meanwhile."""
    layby.set_up()
    layby.on_schedule("ann")
    layby.deliver()
    later = later_version(tmp_path, revision(layby.engine))
    assert migrate(layby.engine, later) == "9999"
    assert revision(layby.engine) == "9999", "a process of this version may start"
    assert migrate(layby.engine) == "9999", "and leaves the newer schema as it is"
    layby.on_schedule("bob", "cid")
    layby.deliver()
    layby.must("pause", customers=["cid"])
    layby.travel(timedelta(days=1))
    layby.must("resume", customers=["cid"])
    layby.deliver()
    layby.must("move_to_directory", customers=["ann"])
    layby.must("update_customer", customers=["bob"], profile={"name": "Robert"})
    layby.travel(timedelta(days=2))
    layby.deliver()
    layby.must("reactivate", customers=["ann"])
    layby.must("record", customers=["cid"], fact={"fact": "payment"})
    layby.add("dan")
    layby.must("purge", customers=["dan"])
    sweep(layby.engine)
    make_partitions(layby.engine)
    assert [state for _, state, _ in layby.ledger("ann")] == ["sent", "sent", "cancelled"]
    assert [state for _, state, _ in layby.ledger("bob")] == ["sent", "sent", "sent"]
    with layby.engine.connect() as connection:
        assert [one.check.name for one in run_audit(connection) if one.found] == []


def test_schema_that_has_left_this_version_behind_is_refused_and_says_what_to_do(
    engine: Engine, tmp_path: Path
) -> None:
    """What this version needs may be gone: the migration says from where on it can be used."""
    later = later_version(tmp_path, revision(engine), 'compatible_from = "9999"')
    migrate(engine, later)
    with pytest.raises(SchemaError, match=r"from revision 9999 on.*Install the newer version"):
        revision(engine)
    with pytest.raises(SchemaError, match="Install the newer version"):
        migrate(engine)


def test_later_version_refuses_to_start_before_the_migration(
    engine: Engine, tmp_path: Path
) -> None:
    later = later_version(tmp_path, revision(engine))
    with engine.connect() as connection, pytest.raises(SchemaError, match="Run: layby migrate"):
        check_schema(connection, later)


def test_migration_that_a_reader_holds_up_gives_up_and_changes_nothing(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it waits for the reader, everyone waits for it."""
    monkeypatch.setattr("storage.migrate._LOCK_SECONDS", 1)
    later = later_version(tmp_path, revision(engine))
    with engine.connect() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM pending")
        with pytest.raises(SchemaError, match=r"Nothing was changed\. Run layby migrate again"):
            migrate(engine, later)
    assert migrate(engine, later) == "9999"
