"""Brings a database to this version's schema, once, whoever asks at the same time."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from storage.partitions import make_partitions

_LOCK = 4_152_001_739  # any number; taken by nobody else


class SchemaError(Exception):
    """The database's schema is not this version's; the message says what to do."""


def migrate(engine: Engine) -> str:
    """Apply what is missing; returns the revision that the database is at."""
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        _refuse_newer(connection)
        command.upgrade(_config(connection), "head")
        make_partitions(connection)
        _guard_role(connection)
        return _head()


def check_schema(connection: Connection) -> None:
    """Raise SchemaError unless the database is at this version's revision."""
    found = MigrationContext.configure(connection).get_current_revision()
    if found is None:
        raise SchemaError("The database has no tables of Layby yet. Run: layby migrate")
    if found != _head():
        _refuse_newer(connection)
        raise SchemaError(
            f"The database is at revision {found}, and this version needs {_head()}. "
            "Run: layby migrate"
        )


def _refuse_newer(connection: Connection) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in _scripts().walk_revisions()}
    if found is not None and found not in known:
        raise SchemaError(
            f"The database is at revision {found}, which this version does not know: it was "
            "migrated by a newer one. Install that version here too."
        )


_ROLE_SETTINGS = {
    # A frozen worker must not hold a slot: the server ends its transaction.
    "idle_in_transaction_session_timeout": "2s",
    "tcp_user_timeout": "10s",
    # Statements on batches are short; compiling one costs more than running it.
    "jit": "off",
}


def _guard_role(connection: Connection) -> None:
    """Settings that every connection of this role to this database carries."""
    for setting, value in _ROLE_SETTINGS.items():
        connection.execute(
            text(
                f"""DO $$ BEGIN EXECUTE format(
                'ALTER ROLE CURRENT_USER IN DATABASE %I SET {setting} = ''{value}''',
                current_database()); END $$"""
            )
        )


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _head() -> str:
    head = _scripts().get_current_head()
    if head is None:
        raise SchemaError("This installation has no migrations: install it again.")
    return head
