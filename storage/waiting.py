"""What a lifecycle transaction decides on, read under its locks in one statement."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from domain.commands import AllOrNone, Command, read_kept
from domain.customer import CustomerState
from domain.journey import Place
from domain.quota import Room
from storage.accounts import Account
from storage.often import Often
from storage.switches import MAY_APPLY


class Target(NamedTuple):
    """One customer's waiting share of a command. `payload`: the row of an import."""

    customer: str
    seq: int
    command: Command
    order_at: datetime
    payload: dict[str, Any] | None = None

    @property
    def all_or_none(self) -> bool:
        return isinstance(self.command, AllOrNone) and self.command.all_or_none


class Waiting(NamedTuple):
    """All that waits for some customers, in order, with where they are."""

    targets: list[Target]
    states: dict[str, CustomerState]
    """Of every customer for whom something waits."""
    account: tuple[Account, Room] | None
    """None: there is no such account."""


ONE_COMMAND = 0
"""No more than the oldest command."""

MOST = 200
"""What is read at once of what waits. One more command of each customer is two more statements
under the locks, and whoever pauses something waits for them, and with him all others."""


def read_waiting(
    connection: Connection, account: str, customers: Sequence[str], most: int | None = None
) -> Waiting:
    """What waits first for these customers, whose locks are held since an earlier statement.

    Not what is paused. Where there is more than `most` (else MOST), the oldest commands, each of
    them whole: so nobody's commands overtake one another, and who asks for all or none has all.
    """
    asked = {
        "account": account,
        "customers": list(customers),
        "most": MOST if most is None else most,
    }
    rows = _READ.rows(connection, asked)
    commands: dict[int, Command] = {}
    targets, states = [], {}
    for customer, seq, payload, is_bulk, body, order_at, place, *rest in rows:
        if seq not in commands:
            commands[seq] = read_kept(body, bulk=is_bulk)
        targets.append(Target(customer, seq, commands[seq], order_at, payload))
        state = CustomerState(customer)
        states[customer] = (
            state if place is None else CustomerState(customer, Place(place), *rest[:6])
        )
    if not rows or rows[0][13] is None:
        return Waiting(targets, states, None)
    return Waiting(targets, states, (Account(*rows[0][13:25]), Room(*rows[0][25:])))


_WAITS = f"""
    t.account = :account AND t.customer = ANY(ARRAY(SELECT unnest(CAST(:customers AS text[]))))
    AND t.state = 'waiting' AND {MAY_APPLY}
"""

_READ = Often(
    f"""
    SELECT t.customer, t.seq, t.payload, c.bulk, c.body,
           least(coalesce(c.issued_at, c.received_at), c.received_at),
           cu.place, s.slot, s.paused_at IS NOT NULL, cu.kept, cu.silenced_at,
           coalesce(cu.zone, cu.derived_zone), cu.redacted_at IS NOT NULL,
           a.account, a.name, a.zone, a.country, a.language, a.email_from, a.sms_from, a.test_now,
           coalesce(a.test_now, statement_timestamp()), CAST(a.rules AS text), a.rules_version,
           CAST(a.holidays AS text),
           n.active, n.active_limit, n.directory, n.directory_limit
    FROM command_targets t JOIN commands c ON c.account = t.account AND c.seq = t.seq
    LEFT JOIN customers cu ON cu.account = t.account AND cu.customer = t.customer
    LEFT JOIN slots s ON s.account = cu.account AND s.customer = cu.customer
    LEFT JOIN accounts a ON a.account = t.account
    LEFT JOIN counters n ON n.account = a.account
    WHERE {_WAITS}
      AND t.seq <= coalesce((SELECT t.seq FROM command_targets t WHERE {_WAITS}
                             ORDER BY t.seq OFFSET :most LIMIT 1), 9223372036854775807)
    ORDER BY t.seq, t.customer
    """
)
