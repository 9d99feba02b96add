"""What an administrator does to a database that an engine works on."""

from collections.abc import Iterator
from contextlib import contextmanager

from databases import Database
from harness import Layby

from storage.database import Engine, connect


@contextmanager
def set_for_all(layby: Layby, database: Database, setting: str) -> Iterator[Engine]:
    """A setting of the database, as an administrator makes it, and who connects after that."""
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {database.name} SET {setting}")
    engine = connect(database.url)
    engine.update_execution_options(**layby.engine.get_execution_options())
    try:
        yield engine
    finally:
        engine.dispose()
