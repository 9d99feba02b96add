"""The SQL door's intake: from the table that `layby_submit` fills into the inbox, in its order.

A row is deleted in the transaction that accepts its command: a process that is killed leaves both
as they were. Its rows are taken out before the intake lock is waited for, so that whoever holds up
this door does not hold up the stream.
"""

import re
import time
from collections.abc import Callable

from config.outage import Outage
from domain.commands import MAX_BYTES
from storage import inbox, submissions
from storage.database import Connection, DatabaseError, Engine, first_line, transact
from storage.inbox import Accepted
from workers.broker import Bell
from workers.intake import Accept, accept_or_set_aside, read
from workers.sending import ring_for

DOOR = "sql"
_TAKE_AT_MOST = 200
_TAKE_BYTES = 100_000
"""Taken up on disk by those that are taken at once, but for the last of them."""

_LOOK_EVERY_SECONDS = 0.05


class Submissions:
    """One taker of what was submitted in SQL; any number may run."""

    def __init__(self, engine: Engine, bell: Bell) -> None:
        self._engine = engine
        self._bell = bell

    def run(self, stopping: Callable[[], bool]) -> None:
        """Take in until told to stop; a database that is away is waited for."""
        database = Outage("database")
        while not stopping():
            try:
                taken = self.take_once()
                database.over()
                if not taken:
                    time.sleep(_LOOK_EVERY_SECONDS)
            except DatabaseError as error:
                database.away(first_line(error))
                time.sleep(1.0)

    def take_once(self) -> int:
        """Take in what waits; returns how many there were."""
        with self._engine.connect() as connection:
            if not submissions.any_waits(connection):
                return 0
        try:
            accepted = self._transact(inbox.accept_all)
        except DatabaseError:
            # One row spoils the batch: each on its own, and the culprit is set aside.
            accepted = self._transact(accept_or_set_aside)
        ring_for(self._bell, accepted)
        return len(accepted)

    def _transact(self, accept: Accept) -> list[Accepted | None]:
        def take_in(connection: Connection) -> list[Accepted | None]:
            taken = submissions.take(connection, _TAKE_AT_MOST, _TAKE_BYTES)
            inbox.lock_intake(connection)
            brought = [read(_as_sent(one.raw), DOOR) for one in taken]
            return accept(connection, brought, DOOR)

        return transact(self._engine, take_in)


def _as_sent(raw: str) -> bytes:
    """As the door's bytes are counted: without the blanks that jsonb adds between values."""
    given = raw.encode()
    if len(given) <= MAX_BYTES:
        return given
    sent, end = bytearray(), 0
    for text in _TEXTS.finditer(given):
        sent += given[end : text.start()].replace(b" ", b"") + text[0]
        end = text.end()
    return bytes(sent + given[end:].replace(b" ", b""))


# Possessive, or a long text costs a hundred times its size in places to come back to.
_TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+"')
