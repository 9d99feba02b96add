"""Brings a database to this version's schema, once, whoever asks at the same time.

A version works on its own schema, and on a newer one that says so: docs/upgrading.md.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from storage.database import DatabaseError, is_lock_timeout, transact
from storage.partitions import make_partitions

MIGRATIONS = Path(__file__).parent / "migrations"

_LOCK = 4_152_001_739  # any number; taken by nobody else
_LOCK_SECONDS = 5


class SchemaError(Exception):
    """The database's schema is not this version's; the message says what to do."""


def migrate(engine: Engine, migrations: Path = MIGRATIONS) -> str:
    """Apply what is missing; returns the revision that the database is at.

    That of a newer version stays, if this version can work with it. Processes may be running: what
    they hold is waited for, but not for long, since meanwhile they wait for what we hold.
    """
    try:
        return transact(engine, lambda connection: _migrate(connection, migrations))
    except DatabaseError as error:
        if not is_lock_timeout(error):
            raise
        raise SchemaError(
            f"Cannot migrate: a table was in use for more than {_LOCK_SECONDS} seconds, by an "
            "audit, a backup or a report. Nothing was changed. Run layby migrate again when that "
            "has ended."
        ) from None


def _migrate(connection: Connection, migrations: Path) -> str:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
    found, scripts = _revision(connection), _scripts(migrations)
    if found is not None and found not in _known(scripts):
        _check_newer(connection, found, scripts)
    else:
        upgrade(connection, migrations=migrations)
        _record_compatible_from(connection, scripts)
    make_partitions(connection)
    _guard_role(connection)
    return _revision(connection) or ""


def upgrade(connection: Connection, to: str = "head", migrations: Path = MIGRATIONS) -> None:
    """Run the migrations up to a revision."""
    command.upgrade(_config(migrations, connection), to)


def check_schema(connection: Connection, migrations: Path = MIGRATIONS) -> str:
    """The database's revision; raises SchemaError if this version can't work with it."""
    found, scripts = _revision(connection), _scripts(migrations)
    if found is None:
        raise SchemaError("The database has no tables of Layby yet. Run: layby migrate")
    if found not in _known(scripts):
        _check_newer(connection, found, scripts)
    elif found != _head(scripts):
        raise SchemaError(
            f"The database is at revision {found}, and this version needs {_head(scripts)}. "
            "Run: layby migrate"
        )
    return found


def _check_newer(connection: Connection, found: str, scripts: ScriptDirectory) -> None:
    """A schema that we don't know is fit for us if it is for a revision that we do know."""
    compatible_from: str = connection.execute(
        text("SELECT compatible_from FROM upkeep")
    ).scalar_one()
    if compatible_from not in _known(scripts):
        raise SchemaError(
            f"The database is at revision {found}, which is for versions from revision "
            f"{compatible_from} on; this one is at {_head(scripts)}. Install the newer version "
            "here too."
        )


def _record_compatible_from(connection: Connection, scripts: ScriptDirectory) -> None:
    """As the newest migration that says so has it: one that only expands says nothing."""
    declared = (
        script.module.compatible_from
        for script in scripts.walk_revisions()
        if hasattr(script.module, "compatible_from")
    )
    connection.execute(
        text("UPDATE upkeep SET compatible_from = :revision WHERE compatible_from <> :revision"),
        {"revision": next(declared, scripts.get_base())},
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


def _config(migrations: Path, connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["connection"] = connection
    return config


def _scripts(migrations: Path) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(migrations))


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known(scripts: ScriptDirectory) -> set[str]:
    return {script.revision for script in scripts.walk_revisions()}


def _head(scripts: ScriptDirectory) -> str:
    head = scripts.get_current_head()
    if head is None:
        raise SchemaError("This installation has no migrations: install it again.")
    return head
