"""Whether this version can work with a database's schema: docs/upgrading.md.

Asked at every start, so without alembic, which costs a tenth of one; a revision is the number that
its migration's file begins with.
"""

from pathlib import Path

from sqlalchemy import Connection, text

MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaError(Exception):
    """The database's schema is not this version's; the message says what to do."""


def check_schema(connection: Connection, migrations: Path = MIGRATIONS) -> str:
    """The database's revision; raises SchemaError if this version can't work with it."""
    found, known = revision(connection), revisions(migrations)
    if found is None:
        raise SchemaError("The database has no tables of Layby yet. Run: layby migrate")
    if found not in known:
        check_newer(connection, found, known)
    elif found != known[-1]:
        raise SchemaError(
            f"The database is at revision {found}, and this version needs {known[-1]}. "
            "Run: layby migrate"
        )
    _check_keys(connection)
    return found


def _check_keys(connection: Connection) -> None:
    """That nothing is pending for who is silenced is a foreign key's work: G3."""
    role: str = connection.execute(text("SHOW session_replication_role")).scalar_one()
    if role == "replica":
        raise SchemaError(
            "session_replication_role is replica, so that no foreign key is enforced: a message "
            "could be planned for somebody who is silenced. Take it off the role, the database or "
            "the server (ALTER ROLE … RESET session_replication_role), then run: layby audit"
        )


def check_newer(connection: Connection, found: str, known: list[str]) -> None:
    """A schema that we don't know is fit for us if it is for a revision that we do know."""
    compatible_from: str = connection.execute(
        text("SELECT compatible_from FROM upkeep")
    ).scalar_one()
    if compatible_from not in known:
        raise SchemaError(
            f"The database is at revision {found}, which is for versions from revision "
            f"{compatible_from} on; this one is at {known[-1]}. Install the newer version "
            "here too."
        )


def revision(connection: Connection) -> str | None:
    """What the database is at; None: it has no tables of Layby."""
    if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar_one() is None:
        return None
    found: str | None = connection.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar_one_or_none()
    return found


def revisions(migrations: Path) -> list[str]:
    """Those that this version knows, oldest first."""
    found = sorted(path.name.partition("_")[0] for path in (migrations / "versions").glob("*.py"))
    if not found:
        raise SchemaError("This installation has no migrations: install it again.")
    return found
