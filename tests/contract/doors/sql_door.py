"""`SELECT layby_submit(jsonb)`, in a transaction of the sender's."""

from collections.abc import Sequence

import psycopg
from contract.doors.door import Ground, RefusedAtTheDoorError


class SqlDoor:
    name = "sql"

    def __init__(self, ground: Ground) -> None:
        self._connection = psycopg.connect(ground.database_url)

    def submit(self, raw: bytes) -> None:
        try:
            with self._connection.transaction():
                self._connection.execute(
                    "SELECT layby_submit(CAST(convert_from(%s, 'UTF8') AS jsonb))", [raw]
                )
        except psycopg.DatabaseError as error:
            raise RefusedAtTheDoorError(str(error)) from None

    def submit_all(self, raws: Sequence[bytes]) -> None:
        with self._connection.transaction():
            for raw in raws:
                self.submit(raw)

    def close(self) -> None:
        self._connection.close()
