"""Brings a database to this version's schema, once, whoever asks at the same time.

A version works on its own schema, and on a newer one that says so: docs/upgrading.md.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from storage.database import DatabaseError, is_lock_timeout, transact
from storage.partitions import make_partitions
from storage.schema import MIGRATIONS, SchemaError, check_newer, revision, revisions

_LOCK = 4_152_001_739  # any number; taken by nobody else
_LOCK_SECONDS = 5


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
    found, known = revision(connection), revisions(migrations)
    if found is not None and found not in known:
        check_newer(connection, found, known)
    else:
        if found is None:
            _check_encoding(connection)
        upgrade(connection, migrations=migrations)
        _record_compatible_from(connection, ScriptDirectory.from_config(_config(migrations)))
    make_partitions(connection)
    _guard_role(connection)
    return revision(connection) or ""


def _check_encoding(connection: Connection) -> None:
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise SchemaError(
            f"The database's encoding is {encoding}, in which not every name can be kept. Make "
            "another one: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


def upgrade(connection: Connection, to: str = "head", migrations: Path = MIGRATIONS) -> None:
    """Run the migrations up to a revision."""
    command.upgrade(_config(migrations, connection), to)


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
    # The only one that the driver reads.
    "DateStyle": "ISO",
}

_DURABLE = """
    DO $$ BEGIN
        IF current_setting('synchronous_commit') <> 'remote_apply' THEN
            EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET synchronous_commit = on',
                           current_database());
        END IF;
    END $$
"""
"""Whatever the server says: what is told as committed is written, and no send is forgotten."""


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
    connection.execute(text(_DURABLE))


def _config(migrations: Path, connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["connection"] = connection
    return config
