"""Forces transactions to meet where a test says: threads that stop, and who waits for whom."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Generic, Self, TypeVar

import psycopg
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from storage.database import Connection, Engine

T = TypeVar("T")
BOUND_SECONDS = 30.0
"""What takes longer than this has hung, and fails its test."""

_GATE = 4711


class CrashedError(BaseException):
    """The process ended here: no handler of the engine's is to see it, as none would."""


class HungError(AssertionError):
    """What a test waited for did not come; the message names it."""


class Task(Generic[T]):
    """One thread of a test. It may stop at one place, inside its transaction."""

    def __init__(self, name: str, work: Callable[[], T], stop_having: str | None) -> None:
        self.name = name
        self.pid = 0
        """Of the backend that it last used."""
        self._stop_having = stop_having
        self._stopped = threading.Event()
        self._released = threading.Event()
        self._crash = False
        self._seen = False
        self._value: list[T] = []
        self._error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(work,), name=name)

    def until_stopped(self) -> Self:
        """Wait until the task holds its transaction open at its stop."""
        if not self._stopped.wait(BOUND_SECONDS):
            raise HungError(f"{self.name} never came to its stop: {self._error}")
        return self

    def go(self) -> Self:
        """Let it commit."""
        self._released.set()
        return self

    def crash(self) -> Self:
        """Let it roll back, as if its process had ended."""
        self._crash = True
        return self.go()

    def result(self, *, within_seconds: float = BOUND_SECONDS) -> T:
        """Wait until it is done; what it raised is raised here."""
        self.thread.join(within_seconds)
        if self.thread.is_alive():
            raise HungError(f"{self.name} does not end")
        if self._error is not None:
            raise self._error
        return self._value[0]

    @property
    def done(self) -> bool:
        return not self.thread.is_alive()

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set() and not self._released.is_set()

    def _run(self, work: Callable[[], T]) -> None:
        try:
            self._value.append(work())
        except BaseException as error:  # noqa: BLE001 - whatever it is, `result` raises it
            self._error = error

    def began(self) -> None:
        self._seen = False

    def executes(self, connection: Connection, statement: str) -> None:
        self.pid = backend(connection)
        self._seen |= self._stop_having is not None and self._stop_having in statement

    def commits(self) -> None:
        if self._seen and not self._stopped.is_set():
            self._stopped.set()
            if not self._released.wait(BOUND_SECONDS):
                raise HungError(f"{self.name} was never let go")
            if self._crash:
                raise CrashedError


class Interleaving:
    """The threads of one test on one engine; none outlives it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: dict[threading.Thread, Task[Any]] = {}
        self._listeners: list[tuple[str, Callable[..., None]]] = [
            ("begin", self._on_begin),
            ("before_cursor_execute", self._on_execute),
            ("commit", self._on_commit),
        ]

    def __enter__(self) -> Self:
        for name, listener in self._listeners:
            event.listen(self._engine, name, listener)
        return self

    def __exit__(self, *_: object) -> None:
        for task in self._tasks.values():
            task.go()
        for thread in self._tasks:
            thread.join(BOUND_SECONDS)
        for name, listener in self._listeners:
            event.remove(self._engine, name, listener)

    def run(self, work: Callable[[], T], *, stop_having: str | None = None) -> Task[T]:
        """Start a thread; it stops before it commits a statement with `stop_having` in it."""
        task = Task(f"task-{len(self._tasks) + 1}", work, stop_having)
        self._tasks[task.thread] = task
        task.thread.start()
        return task

    def stopped(self, work: Callable[[], T], *, having: str) -> Task[T]:
        """Start a thread and wait until it has done all but commit."""
        return self.run(work, stop_having=having).until_stopped()

    def waiting(
        self, work: Callable[[], T], *, for_: Task[Any], stop_having: str | None = None
    ) -> Task[T]:
        """Start a thread and wait until it waits for another one's locks."""
        task = self.run(work, stop_having=stop_having)

        def waits() -> bool:
            if task.done:
                task.result()
                raise HungError(f"{task.name} did not wait for {for_.name}")
            return waits_for(self._engine, for_.pid)

        until(waits, f"{task.name} waits for {for_.name}")
        return task

    def until_done_or_waiting(self, task: Task[Any], *, for_: Task[Any]) -> None:
        """Wait until a task has come to its end, or as far as another one's locks let it."""
        until(
            lambda: task.done or waits_for(self._engine, for_.pid),
            f"{task.name} is done, or waits for {for_.name}",
        )

    def _on_begin(self, _: Connection) -> None:
        if task := self._tasks.get(threading.current_thread()):
            task.began()

    def _on_execute(self, connection: Connection, _: object, statement: str, *__: object) -> None:
        if task := self._tasks.get(threading.current_thread()):
            task.executes(connection, statement)

    def _on_commit(self, _: Connection) -> None:
        if task := self._tasks.get(threading.current_thread()):
            task.commits()


def backend(connection: Connection) -> int:
    """The server process of a connection."""
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, psycopg.Connection)
    return driver.info.backend_pid


def waits_for(engine: Engine, holder: int) -> bool:
    """Whether some statement waits for a lock that this backend holds."""
    with engine.connect() as connection:
        return bool(
            connection.execute(
                text(
                    "SELECT EXISTS (SELECT 1 FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock' "
                    "AND :holder = ANY(pg_blocking_pids(pid)))"
                ),
                {"holder": holder},
            ).scalar_one()
        )


def until(happened: Callable[[], bool], what: str) -> None:
    """Poll for something that the server knows; bounded."""
    give_up_at = monotonic() + BOUND_SECONDS
    tick = threading.Event()
    while not happened():
        if monotonic() > give_up_at:
            raise HungError(what)
        tick.wait(0.002)


@contextmanager
def planted(engine: Engine, right: str, wrong: str) -> Iterator[None]:
    """Plant a bug: statements run with `wrong` where they say `right`. One of them must.

    However the statements are broken into lines.
    """
    found = []

    def rewrite(
        _: Connection, __: object, statement: str, parameters: object, *___: object
    ) -> tuple[str, object]:
        on_one_line = " ".join(statement.split())
        if right not in on_one_line:
            return statement, parameters
        found.append(statement)
        return on_one_line.replace(right, wrong), parameters

    event.listen(engine, "before_cursor_execute", rewrite, retval=True)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", rewrite)
    assert found, f"nothing to plant a bug in: no statement has {right!r}"


@contextmanager
def snapshot_taken_early(engine: Engine, before: str) -> Iterator[Callable[[], None]]:
    """Hold statements between their snapshot and their first row.

    `before` is a condition of their WHERE clause. Yields what waits until one is held.
    """
    with engine.connect() as holder, holder.begin():
        holder.execute(text("SELECT pg_advisory_xact_lock(:gate)"), {"gate": _GATE})
        pid = backend(holder)
        gate = f"(SELECT pg_advisory_xact_lock_shared({_GATE}))::text IS NOT NULL AND {before}"
        with planted(engine, before, gate):
            yield lambda: until(lambda: waits_for(engine, pid), "a statement is held")


@contextmanager
def lost_acknowledgement(engine: Engine, having: str) -> Iterator[None]:
    """The first commit of a transaction with such a statement happens, and nobody hears of it."""
    seen: list[Connection] = []
    lost: list[Connection] = []

    def executes(connection: Connection, _: object, statement: str, *__: object) -> None:
        if having in statement:
            seen.append(connection)

    def commits(connection: Connection) -> None:
        if connection in seen and not lost:
            lost.append(connection)
            driver = connection.connection.dbapi_connection
            assert driver is not None
            driver.commit()
            reason = psycopg.OperationalError("the connection is lost")
            raise OperationalError("COMMIT", None, reason)

    event.listen(engine, "before_cursor_execute", executes)
    event.listen(engine, "commit", commits)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", executes)
        event.remove(engine, "commit", commits)
    assert lost, f"no transaction had {having!r}"


@contextmanager
def errors_by_state(engine: Engine) -> Iterator[dict[str, int]]:
    """Counts the database's errors by SQLSTATE, also those that the engine tries again."""
    counted: dict[str, int] = {}
    guard = threading.Lock()

    def on_error(context: Any) -> None:
        if isinstance(context.sqlalchemy_exception, DBAPIError):
            state = getattr(context.original_exception, "sqlstate", None) or "none"
            with guard:
                counted[state] = counted.get(state, 0) + 1

    event.listen(engine, "handle_error", on_error)
    try:
        yield counted
    finally:
        event.remove(engine, "handle_error", on_error)
