"""A process that ends in the middle of something, and what it had committed by then."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count, repeat

from concurrency.interleave import CrashedError
from harness import Layby
from hypothesis.stateful import RuleBasedStateMachine
from sqlalchemy import event

from storage.database import Connection

WRITES = (
    *("UPDATE command_targets t", "UPDATE pending p"),
    *("DELETE FROM pending", "DELETE FROM started"),
)
"""What is applied, started or settled has one of these."""


class Crashes(RuleBasedStateMachine):
    """Ends processes before any statement."""

    layby: Layby

    def crashing(self, statement: int | None, work: Callable[[], object]) -> None:
        """Do this, but the process ends before the n-th statement, unless it is done by then."""
        left = repeat(1) if statement is None else count(statement, -1)
        with (
            self.watched(WRITES) as committed,
            self.before_each(lambda: not committed and next(left) == 0),
        ):
            work()

    def dying(self, statement: int | None, work: Callable[[], object], writes: str) -> int:
        """Do this, but the process ends before the n-th statement, whatever it has committed.

        Returns how many transactions that wrote this were committed.
        """
        left = repeat(1) if statement is None else count(statement, -1)
        with self.watched((writes,)) as committed:
            with suppress(CrashedError), self.before_each(lambda: next(left) == 0):
                work()
            return len(committed)

    @contextmanager
    def before_each(self, ends: Callable[[], bool]) -> Iterator[None]:
        """Before each statement the process may end."""

        def crash(*_: object) -> None:
            if ends():
                raise CrashedError

        event.listen(self.layby.engine, "before_cursor_execute", crash)
        try:
            yield
        finally:
            event.remove(self.layby.engine, "before_cursor_execute", crash)

    @contextmanager
    def watched(self, marks: Sequence[str]) -> Iterator[list[Connection]]:
        """The transactions that wrote something like this, and were committed."""
        written: list[Connection] = []
        committed: list[Connection] = []

        def writes(connection: Connection, _: object, sql: str, *__: object) -> None:
            if any(mark in sql for mark in marks):
                written.append(connection)

        def commits(_: Connection) -> None:
            committed.extend(written[:1])
            written.clear()

        engine = self.layby.engine
        event.listen(engine, "before_cursor_execute", writes)
        event.listen(engine, "commit", commits)
        try:
            yield committed
        finally:
            event.remove(engine, "before_cursor_execute", writes)
            event.remove(engine, "commit", commits)
