"""The kill switch: pause at once and for certain, resume without a burst.

Once `pause` has returned, nothing that it forbids can start; what had started is counted.
`resume` spreads what is overdue before it switches off, so that it drains at a pace.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import NamedTuple

from domain.switch import Scope, Switch, SwitchError
from storage import accounts, journal, switches
from storage.accounts import read_account
from storage.database import Connection, Engine, transact
from storage.journal import Entry
from storage.switches import PausedSince

OVER = timedelta(minutes=10)
"""Over what time a resume spreads what is overdue, unless told otherwise."""

CHUNK = 1000
"""Rows held at once by a resume."""


class PauseResult(NamedTuple):
    """What a pause came to."""

    since: PausedSince
    fresh: bool
    """False: it was paused before, and stays so."""
    in_progress: int
    """Sends that had started: they are handed over, and settle."""


class ResumeResult(NamedTuple):
    """What a resume came to."""

    was: PausedSince
    spread: int
    """Sends that were overdue, and come due over the time given."""


def pause(engine: Engine, switch: Switch, *, reason: str = "", source: str = "") -> PauseResult:
    """Switch on. Raises SwitchError if there is no such account or template."""
    return transact(engine, partial(_pause, switch=switch, reason=reason, source=source))


def _pause(connection: Connection, switch: Switch, reason: str, source: str) -> PauseResult:
    _must_exist(connection, switch)
    switches.lock_alone(connection)
    fresh = switches.read(connection, switch) is None
    if fresh:
        after = switches.last_numbers(connection)
        switches.put(connection, switch, reason=reason, source=source, after=after)
        data = {"name": switch.name, "reason": reason, "source": source, **after._asdict()}
        _journal(connection, switch, "paused", data)
    since = switches.read(connection, switch)
    assert since is not None, "the lock is ours alone"
    return PauseResult(since, fresh, switches.in_progress(connection, switch))


def _must_exist(connection: Connection, switch: Switch) -> None:
    if switch.account and read_account(connection, switch.account) is None:
        raise SwitchError(f"There is no account {switch.account}. See: layby customers")
    template = switch.template
    if template and not switches.has_template(connection, switch.account, template):
        raise SwitchError(f"Account {switch.account} has no template {template}.")


def resume(
    engine: Engine,
    switch: Switch,
    *,
    over: timedelta = OVER,
    reason: str = "",
    source: str = "",
) -> ResumeResult:
    """Switch off, after spreading what is overdue. Raises SwitchError if it is not on.

    Interrupted, it leaves the switch on: run it again.
    """
    with engine.connect() as connection:
        if switches.read(connection, switch) is None:
            raise _not_paused(switch)
    spread = 0 if switch.scope is Scope.QUEUE else _spread(engine, switch, over)
    was = transact(engine, partial(_switch_off, switch=switch, reason=reason, source=source))
    if switches.deferred_by(switch):
        # What the gate put off until now, or once more meanwhile; from here on it does not.
        spread += _spread(engine, switch, over, deferred_only=True)
    return ResumeResult(was, spread)


def _switch_off(connection: Connection, switch: Switch, reason: str, source: str) -> PausedSince:
    switches.lock_alone(connection)
    was = switches.read(connection, switch)
    if was is None:
        raise _not_paused(switch)
    until = switches.last_numbers(connection)
    switches.remove(connection, switch)
    data = {
        "name": switch.name,
        "reason": reason,
        "source": source,
        "paused_at": was.paused_at.isoformat(),
        "after_send": was.after_send,
        "after_entry": was.after_entry,
        **until._asdict(),
    }
    _journal(connection, switch, "resumed", data)
    return was


def _not_paused(switch: Switch) -> SwitchError:
    return SwitchError(
        f"Cannot resume {switch.in_words}: it is not paused. What is, is listed by: layby switches"
    )


def _journal(connection: Connection, switch: Switch, what: str, data: dict[str, object]) -> None:
    now = _now(connection, switch.account)
    entry = Entry(None, f"{switch.scope.value}_{what}", data, None)
    journal.add(connection, switch.account, [entry], now)


def _now(connection: Connection, account: str) -> datetime:
    known = read_account(connection, account) if account else None
    return known.now if known else accounts.database_now(connection)


def _spread(engine: Engine, switch: Switch, over: timedelta, *, deferred_only: bool = False) -> int:
    with engine.connect() as connection:
        concerned = switches.accounts_concerned(connection, switch)
    return sum(
        _spread_of(engine, account, switch, over, deferred_only=deferred_only)
        for account in concerned
    )


def _spread_of(
    engine: Engine, account: str, switch: Switch, over: timedelta, *, deferred_only: bool
) -> int:
    """Evenly, in the order planned, by the account's clock; a chunk at a time."""
    with engine.connect() as connection:
        now = _now(connection, account)
        waiting = switches.overdue(connection, account, switch, now, deferred_only=deferred_only)
    moments = [(one, now + over * n / len(waiting)) for n, one in zip(count(), waiting)]
    spread = 0
    for first in range(0, len(moments), CHUNK):
        chunk = moments[first : first + CHUNK]
        spread += transact(engine, partial(_put_off, account, switch, now, chunk))
    return spread


def _put_off(
    account: str,
    switch: Switch,
    now: datetime,
    moments: list[tuple[int, datetime]],
    connection: Connection,
) -> int:
    return switches.put_off(connection, account, switch, now, moments)


def in_progress(engine: Engine, switch: Switch) -> int:
    """How many sends that a switch forbids have not settled yet."""
    with engine.connect() as connection:
        return switches.in_progress(connection, switch)


def paused(engine: Engine, account: str | None = None) -> list[PausedSince]:
    """All that is paused, or what concerns one account."""
    with engine.connect() as connection:
        return switches.paused(connection, account)


def wait_until_settled(engine: Engine, switch: Switch, wait: Callable[[], bool]) -> int:
    """Look until nothing it forbids is in progress, or `wait` says stop; returns what still is."""
    while (open_ := in_progress(engine, switch)) and wait():
        pass
    return open_
