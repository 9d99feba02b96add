"""A move by hand: what the engine writes for it, in one transaction on one connection.

Every row that a move by the stream leaves behind, and the locks that it takes; without its reading
of commands, its rules and its words. The floor for `move` and `bulk_move`.
"""

from collections.abc import Sequence
from itertools import count
from typing import LiteralString

import psycopg

_numbers = count(1)


def move(
    connection: psycopg.Connection, account: str, customers: Sequence[str], *, sends_each: int
) -> None:
    """Move active customers to the directory and commit."""
    values = {
        "account": account,
        "customers": list(customers),
        "command": f"by-hand-{next(_numbers)}",
        "count": len(customers),
        "cancelled": sends_each,
    }
    with connection.transaction(), connection.cursor() as cursor:
        for statement in _STATEMENTS:
            cursor.execute(statement, values)


_STATEMENTS: tuple[LiteralString, ...] = (
    """
    WITH accepted AS (
        INSERT INTO commands (account, command, kind, body, digest, door, state, targets)
        VALUES (%(account)s, %(command)s, 'move_to_directory',
                jsonb_build_object('id', %(command)s::text, 'account', %(account)s::text,
                                   'kind', 'move_to_directory',
                                   'customers', to_jsonb(%(customers)s::text[])),
                md5(%(command)s), 'by hand', 'accepted', %(count)s)
        RETURNING account, seq
    )
    INSERT INTO command_targets (account, customer, seq)
    SELECT account, customer, seq FROM accepted, unnest(%(customers)s::text[]) AS customer
    """,
    """
    SELECT 1 FROM customers WHERE account = %(account)s AND customer = ANY(%(customers)s)
    ORDER BY customer FOR UPDATE
    """,
    """
    SELECT 1 FROM slots WHERE account = %(account)s AND customer = ANY(%(customers)s)
    ORDER BY slot FOR UPDATE
    """,
    "SELECT send FROM started WHERE account = %(account)s AND customer = ANY(%(customers)s)",
    """
    WITH live AS (
        SELECT e.account, e.enrolment FROM enrolments e JOIN slots s USING (account, slot)
        WHERE s.account = %(account)s AND s.customer = ANY(%(customers)s)
    ), taken AS (
        DELETE FROM pending p USING live
        WHERE p.account = live.account AND p.enrolment = live.enrolment RETURNING p.*
    )
    INSERT INTO sends (account, enrolment, step, customer, channel, state, rule, planned_at,
                       business_at, attempts)
    SELECT account, enrolment, step, customer, channel, 'cancelled', 'moved', planned_at, now(),
           attempts FROM taken
    """,
    """
    UPDATE enrolments e SET slot = NULL, ended_at = now(), end_reason = 'moved'
    FROM slots s WHERE s.account = %(account)s AND s.customer = ANY(%(customers)s)
      AND e.account = s.account AND e.slot = s.slot
    """,
    "DELETE FROM slots WHERE account = %(account)s AND customer = ANY(%(customers)s)",
    """
    UPDATE customers SET place = 'archived', kept = true, silenced_at = now()
    WHERE account = %(account)s AND customer = ANY(%(customers)s)
    """,
    """
    INSERT INTO journal (account, customer, event, data, seq, business_at)
    SELECT t.account, t.customer, 'customer_moved',
           jsonb_build_object('cancelled', %(cancelled)s::int), t.seq, now()
    FROM commands c JOIN command_targets t USING (account, seq)
    WHERE c.account = %(account)s AND c.command = %(command)s
    """,
    """
    UPDATE command_targets t
    SET state = 'applied', cancelled = %(cancelled)s, open = '{}', quiet_at = clock_timestamp()
    FROM commands c WHERE c.account = %(account)s AND c.command = %(command)s
      AND t.account = c.account AND t.seq = c.seq
    """,
    """
    UPDATE commands SET state = 'applied', applied = targets, done_at = clock_timestamp()
    WHERE account = %(account)s AND command = %(command)s
    """,
    """
    UPDATE counters SET active = active - %(count)s, directory = directory + %(count)s
    WHERE account = %(account)s
    """,
)
