"""The inbox: commands accepted once each, with whom they are for, or kept in quarantine."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from domain.commands import (
    AHEAD_ALLOWED,
    BULK_FROM,
    Command,
    ConsentCommand,
    CustomerCommand,
    ImportCustomers,
    kept_body,
)
from domain.customer_filter import Filter
from domain.customer_list import CustomerListError
from domain.import_rows import AimedRow, aim_rows
from storage import bulk
from storage.installation import hashed
from storage.often import Often


class Accepted(NamedTuple):
    """A command's place in the inbox. `fresh`: it was not there before."""

    account: str
    command: str
    seq: int
    fresh: bool
    bulk: bool = False
    set_aside_as: str | None = None
    """Another command has this id: this one is in quarantine under that name."""


class Unreadable(NamedTuple):
    """What can't be read, as it came, with the reason, and what it says of itself."""

    raw: str
    problem: str
    account: str = ""
    command: str | None = None
    kind: str = ""


class Place(NamedTuple):
    """Where one of several commands is in the order of all."""

    seq: int | None
    received_at: datetime | None


ALONE = Place(None, None)
"""A command that comes alone has its place when it is written."""


# A list of hundreds of thousands is read for longer than the two seconds for which a transaction
# may hold a slot and do nothing (storage/migrate.py). None of these holds any.
_TAKES_TIME = "set_config('idle_in_transaction_session_timeout', '60s', true)"


def lock_intake(connection: Connection) -> None:
    """Be the one who takes commands in from a queue until the end of this transaction."""
    _LOCK_INTAKE.rows(connection, {})


# Any number; taken by nobody else.
_LOCK_INTAKE = Often(f"SELECT pg_advisory_xact_lock(4152001740), {_TAKES_TIME}")


def accept_all(
    connection: Connection,
    brought: Sequence[Command | Unreadable],
    door: str,
    *,
    bulk_from: int = BULK_FROM,
) -> list[Accepted | None]:
    """Make commands ours, in the order sent; None: it can't be read, and is quarantined.

    They are written by their names, in whatever order they are sent: two doors that bring the same
    ones wait for each other in one direction. So their places are drawn before.
    """
    if len(brought) <= 1:
        return [_take_in(connection, one, door, bulk_from) for one in brought]
    places = _draw(connection, len(brought))
    # Of one name, in the order sent: sorted is stable.
    by_name = sorted(range(len(brought)), key=lambda at: _name(brought[at]))
    taken = {at: _take_in(connection, brought[at], door, bulk_from, places[at]) for at in by_name}
    read = {one.account for one in brought if not isinstance(one, Unreadable)}
    _aim_lists_before(connection, read)
    return [taken[at] for at in range(len(brought))]


def accept_commands(
    connection: Connection, commands: Iterable[Command], door: str
) -> list[Accepted]:
    """The same where all of them could be read."""
    return [one for one in accept_all(connection, [*commands], door) if one is not None]


def _name(one: Command | Unreadable) -> tuple[str, str]:
    if isinstance(one, Unreadable):
        return one.account, one.command or _UNREADABLE
    return one.account, one.id


def _take_in(
    connection: Connection,
    one: Command | Unreadable,
    door: str,
    bulk_from: int,
    place: Place = ALONE,
) -> Accepted | None:
    if isinstance(one, Unreadable):
        quarantine(connection, one, door, place)
        return None
    return accept(connection, one, door, bulk_from=bulk_from, place=place)


def _draw(connection: Connection, number: int) -> list[Place]:
    rows = connection.execute(
        text(f"SELECT {_NEXT}, clock_timestamp() FROM generate_series(1, :number)"),
        {"number": number},
    )
    return [Place(*row) for row in rows]


_NEXT = "nextval(pg_get_serial_sequence('commands', 'seq'))"


def accept(
    connection: Connection,
    command: Command,
    door: str,
    *,
    bulk_from: int = BULK_FROM,
    place: Place = ALONE,
) -> Accepted:
    """Make a command ours; once only, whichever doors it comes through, how often it comes.

    The same id with another content is quarantined beside the first one, under a name of its own.
    """
    if isinstance(command, ImportCustomers):
        connection.execute(text(f"SELECT {_TAKES_TIME}"))
    digest = _digest(_canonical(command))
    aim = _aim(command, bulk_from)
    rows = _ACCEPT.rows(
        connection,
        {
            "account": command.account,
            "command": command.id,
            "alone": place == ALONE,
            **place._asdict(),
            "kind": command.kind.value,
            "body": json.dumps(kept_body(command, bulk=aim.bulk)),
            "digest": digest,
            "door": door,
            "issued_at": command.issued_at,
            "ahead_allowed": AHEAD_ALLOWED,
            "ahead": _AHEAD,
            "targets": aim.targets,
            "customers": list(aim.customers),
            "bulk": aim.bulk,
            "resolved": aim.resolved,
            "listed": aim.listed and list(aim.listed),
            "problem": aim.problem,
            "erase_when_done": isinstance(command, ConsentCommand) and command.names_an_address,
        },
    )
    if not rows:
        return _republished(connection, command, digest, door)
    [(seq, state)] = rows
    if aim.rows and state == "accepted":
        bulk.aim_rows(connection, command.account, seq, aim.rows)
    return Accepted(command.account, command.id, seq, fresh=True, bulk=aim.bulk)


class _Aim(NamedTuple):
    """Whom a command is for: at once, or in chunks once it is resolved."""

    targets: int = 0
    customers: tuple[str, ...] = ()
    bulk: bool = True
    resolved: bool = False
    listed: tuple[str, ...] | None = None
    rows: list[AimedRow] | None = None
    problem: str | None = None


def _aim(command: Command, bulk_from: int) -> _Aim:
    match command:
        case ImportCustomers():
            try:
                rows = aim_rows(command)
            except CustomerListError as error:
                return _Aim(resolved=True, problem=f"The list can't be imported. {error}")
            names = tuple(row.customer for row in rows if row.refusal is None)
            return _Aim(len(rows), names, resolved=True, rows=rows)
        case CustomerCommand(customers=Filter()) | ConsentCommand(customers=()):
            return _Aim()
        case CustomerCommand(customers=tuple(listed)) if len(listed) > bulk_from:
            return _Aim(len(listed), listed=listed)
        case CustomerCommand(customers=tuple(listed)):
            return _Aim(len(listed), listed, bulk=False)
        case _:
            return _Aim(bulk=False)


_AHEAD = (
    "Its issued_at is more than five minutes ahead of this server's clock, so its order can't be "
    "known. Correct the sender's clock, and send it again under another id."
)

# A list before a command that has not all of its targets yet: whom both name comes first there, so
# that no customer's commands overtake one another. Written in the order in which lists are resolved
# (storage/bulk.py): whoever writes these waits for another in one direction.
_LISTS_BEFORE = """
    INSERT INTO command_targets (account, customer, seq, bulk)
    SELECT c.account, customer, c.seq, true
    FROM commands c CROSS JOIN LATERAL unnest(c.listed) WITH ORDINALITY AS l (customer, position)
    WHERE {of_account} AND c.state = 'accepted' AND c.bulk AND c.resolved_at IS NULL
      AND {named_later}
    ORDER BY c.account, c.seq, position
    ON CONFLICT DO NOTHING
"""

_ACCEPT = Often(
    f"""
    WITH accepted AS (
        INSERT INTO commands AS c
               (seq, received_at, account, command, kind, body, digest, door, issued_at, state,
                problem, done_at, targets, bulk, listed, resolved_at, erase_when_done)
        SELECT coalesce(CAST(:seq AS bigint), {_NEXT}),
               coalesce(CAST(:received_at AS timestamptz), clock_timestamp()),
               :account, :command, :kind, CAST(:body AS jsonb), :digest, :door, :issued_at,
               CASE WHEN problem IS NULL THEN 'accepted' ELSE 'refused' END, problem,
               CASE WHEN problem IS NOT NULL THEN clock_timestamp() END,
               CASE WHEN problem IS NULL THEN :targets ELSE 0 END, :bulk,
               CASE WHEN problem IS NULL THEN CAST(:listed AS text[]) END,
               CASE WHEN :bulk AND (:resolved OR problem IS NOT NULL) THEN clock_timestamp() END,
               :erase_when_done
        FROM (SELECT coalesce(CAST(:problem AS text),
                  CASE WHEN CAST(:issued_at AS timestamptz)
                            > clock_timestamp() + CAST(:ahead_allowed AS interval)
                       THEN CAST(:ahead AS text) END) AS problem) AS judged
        ON CONFLICT (account, command) DO UPDATE SET
               kind = excluded.kind, body = excluded.body, raw = NULL, digest = excluded.digest,
               door = excluded.door, issued_at = excluded.issued_at,
               received_at = excluded.received_at, state = excluded.state,
               problem = excluded.problem, done_at = excluded.done_at, targets = excluded.targets,
               bulk = excluded.bulk, listed = excluded.listed, resolved_at = excluded.resolved_at,
               seq = excluded.seq, erase_when_done = excluded.erase_when_done
            -- The corrected command takes its id's place, unless something was done under it.
            WHERE c.state = 'quarantined' AND NOT EXISTS (
                SELECT 1 FROM command_targets t WHERE t.account = c.account AND t.seq = c.seq)
        RETURNING account, seq, state
    ), named AS (
        SELECT customer FROM unnest(CAST(:customers AS text[])) AS customer
    ), aimed AS (
        INSERT INTO command_targets (account, customer, seq)
        SELECT account, customer, seq FROM accepted, named WHERE state = 'accepted' AND NOT :bulk
    ), lists_before AS ({
        _LISTS_BEFORE.format(
            of_account="c.account = :account",
            named_later="customer = ANY(CAST(:customers AS text[])) AND :alone",
        )
    }
    )
    SELECT seq, state FROM accepted
"""
)


def _aim_lists_before(connection: Connection, accounts: set[str]) -> None:
    connection.execute(_AIM_LISTS_BEFORE, {"accounts": sorted(accounts)})


_AIM_LISTS_BEFORE = text(
    _LISTS_BEFORE.format(
        of_account="c.account = ANY(:accounts)",
        named_later="""EXISTS (
            SELECT 1 FROM command_targets t
            WHERE t.account = c.account AND t.customer = l.customer AND t.seq > c.seq)""",
    )
)


def _republished(connection: Connection, command: Command, digest: str, door: str) -> Accepted:
    first = connection.execute(
        text(
            "SELECT seq, digest, bulk FROM commands WHERE account = :account AND command = :command"
        ),
        {"account": command.account, "command": command.id},
    ).one()
    set_aside_as = None
    if first.digest not in (digest, hashed(connection, digest)):
        other = Unreadable(
            raw=command.model_dump_json(exclude_unset=True),
            account=command.account,
            command=f"{command.id}#{digest[:12]}",
            kind=command.kind.value,
            problem=f"The id {command.id} was given to another command before. Ids are given "
            "once: send this one with an id of its own.",
        )
        set_aside_as = quarantine(connection, other, door)
    return Accepted(
        command.account,
        command.id,
        first.seq,
        fresh=False,
        bulk=first.bulk,
        set_aside_as=set_aside_as,
    )


_UNREADABLE = "unreadable-"


def quarantine(connection: Connection, one: Unreadable, door: str, place: Place = ALONE) -> str:
    """Keep what can't be read, as it came, with the reason; returns the id it is kept under.

    Its own id, if it has one that is free; else a name made of its content, so that the same again
    is kept once and another one is kept beside it.
    """
    digest = _digest(one.raw)
    kept_as = one.command or f"{_UNREADABLE}{digest[:16]}"
    if _is_taken(connection, _storable(one.account), _storable(kept_as), digest):
        kept_as = f"{kept_as}#{digest[:12]}"
    connection.execute(
        text(
            f"""
            INSERT INTO commands
                   (seq, received_at, account, command, kind, raw, digest, door, state, problem)
            VALUES (coalesce(:seq, {_NEXT}), coalesce(:received_at, clock_timestamp()),
                    :account, :command, :kind, :raw, :digest, :door, 'quarantined', :problem)
            ON CONFLICT (account, command) DO NOTHING
            """
        ),
        {
            **place._asdict(),
            "account": _storable(one.account),
            "command": _storable(kept_as),
            "kind": _storable(one.kind),
            "raw": _storable(one.raw),
            "digest": digest,
            "door": door,
            "problem": one.problem,
        },
    )
    return kept_as


def _is_taken(connection: Connection, account: str, command: str, digest: str) -> bool:
    found = connection.execute(
        text("SELECT digest FROM commands WHERE account = :account AND command = :command"),
        {"account": account, "command": command},
    ).scalar_one_or_none()
    return found not in (None, digest, hashed(connection, digest))


def _storable(given: str) -> str:
    # PostgreSQL's text has no NUL and no lone surrogates.
    visible = given.replace("\x00", "\N{SYMBOL FOR NULL}")
    return visible.encode("utf-8", "backslashreplace").decode()


def quarantined_raw(connection: Connection, account: str, command: str) -> str:
    """What a quarantined command's door brought."""
    raw: str = connection.execute(
        text(
            "SELECT raw FROM commands WHERE account = :account AND command = :command "
            "AND state = 'quarantined'"
        ),
        {"account": account, "command": command},
    ).scalar_one()
    return raw


def _canonical(command: Command) -> str:
    # The same text for the same command, in whatever order its door gives the names (jsonb has one
    # of its own): the digest is of it.
    given = command.model_dump(mode="json", exclude_unset=True)
    return json.dumps(given, ensure_ascii=False, sort_keys=True)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode("utf-8", "backslashreplace")).hexdigest()
