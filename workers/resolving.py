"""Whom a bulk command is for: its list or filter becomes targets, a chunk in each transaction.

How far that is stands in the command's row, so a worker that is killed leaves the rest to the next.
"""

from datetime import datetime
from functools import partial

import structlog

from domain.commands import (
    AllOrNone,
    Command,
    CommandState,
    ConsentCommand,
    CustomerCommand,
    refuse_too_many,
)
from domain.customer_filter import Filter
from domain.journey import changed_in
from domain.refusal import Refusal, unknown_account
from storage import accounts, bulk, filters, unapplied
from storage.accounts import Account
from storage.bulk import Chunk, Unresolved
from storage.database import Connection, Engine, transact
from storage.lines import Line, write_lines
from workers import recipients
from workers.setting_aside import OVERLONG, cannot_apply, is_passing

log = structlog.get_logger()

LOOKED_AT_ONCE = 1_000
"""Customers that one transaction looks at, whether they fit or not."""


def resolve(engine: Engine, account: str, seq: int) -> None:
    """Resolve a command to the end."""
    while resolve_some(engine, account, seq):
        pass


def resolve_some(engine: Engine, account: str, seq: int) -> bool:
    """One step; False: there is no further one. A step that can't be done sets the command aside.

    Alone: whoever comes behind it is resolved and applied.
    """
    work = (engine.url, account, seq)
    try:
        more = transact(engine, partial(_resolve_some, account=account, seq=seq))
    except Exception as error:
        if is_passing(error) and not OVERLONG.failed(work, error):
            raise
        log.exception("cannot_resolve", account=account, seq=seq)
        problem = cannot_apply("many customers", error, "bulk")
        transact(engine, lambda c: unapplied.set_aside_unresolved(c, account, seq, problem))
        more = False
    OVERLONG.done(work)
    return more


def _resolve_some(connection: Connection, account: str, seq: int) -> bool:
    it = bulk.lock_unresolved(connection, account, seq)
    if it is None:
        return False
    if it.listed:
        chunk = bulk.aim_listed(connection, account, seq, int(it.to or 0), LOOKED_AT_ONCE)
    else:
        known = accounts.read_account(connection, account)
        if known is None:
            problem = unknown_account(account).message
            bulk.finish(connection, account, seq, CommandState.REFUSED, problem)
            return False
        aimed = _aim(connection, known, it)
        if aimed is None:
            return False
        chunk = aimed
    too_many = _too_many(it, chunk)
    whole = chunk.looked < LOOKED_AT_ONCE or too_many is not None
    bulk.resolved_to(connection, account, seq, chunk, whole=whole)
    if too_many is not None:
        names = bulk.members(connection, account, [seq])
        lines = [Line(name, seq, "refused", *too_many) for name in names]
        write_lines(connection, account, lines)
    return not whole


def _aim(connection: Connection, account: Account, it: Unresolved) -> Chunk | None:
    if isinstance(it.command, ConsentCommand) and it.command.recipient is not None:
        return recipients.aim_some(connection, account, it, it.command, LOOKED_AT_ONCE)
    ask = _ask(it.command, account.now)
    return bulk.aim_filtered(connection, account.account, it.seq, it.to, LOOKED_AT_ONCE, ask)


def _ask(command: Command, now: datetime) -> dict[str, object]:
    assert isinstance(command, CustomerCommand), "an import has its targets from the beginning"
    assert isinstance(command.customers, Filter), "what is no list"
    return filters.asked(command.customers, changed_in(command.kind), now)


def _too_many(it: Unresolved, chunk: Chunk) -> Refusal | None:
    """Nobody has applied any of it: all or none waits until it is resolved."""
    if it.listed or not (isinstance(it.command, AllOrNone) and it.command.all_or_none):
        return None
    try:
        refuse_too_many(it.targets + chunk.found)
    except ValueError as error:
        return Refusal("too_many", f"Cannot {it.command.kind.value} these customers: {error}.")
    return None
