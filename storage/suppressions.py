"""Who may not be written to: recorded, lifted, and looked up by keyed hash."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from domain.message import Channel
from domain.suppression import Aim, Recipient, Suppression, SuppressionKind, recipients_of
from storage.columns import texts
from storage.installation import hashed

ANY = "EXISTS (SELECT 1 FROM suppressions WHERE account = :account)"
"""A condition: an account without any is asked nothing more."""


def exist(connection: Connection, account: str) -> bool:
    """Whether the account has any."""
    return bool(connection.execute(text(f"SELECT {ANY}"), {"account": account}).scalar_one())


class Target(NamedTuple):
    """What a suppression is kept by: a customer's id, or the keyed hash of a recipient."""

    aim: Aim
    name: str


class Reach(NamedTuple):
    """A customer, and all that it could be suppressed by."""

    customer: str
    targets: tuple[Target, ...]
    recipients: tuple[Recipient, ...] = ()


def reach(connection: Connection, customer: str, email: str | None, phone: str | None) -> Reach:
    """What these are looked up by."""
    recipients = recipients_of(email, phone)
    targets = (target_of(connection, recipient) for recipient in recipients)
    return Reach(customer, (Target(Aim.CUSTOMER, customer), *targets), recipients)


def target_of(connection: Connection, recipient: Recipient) -> Target:
    """What a recipient is kept by."""
    return Target(recipient.aim, hashed(connection, recipient.value))


def read_reach(connection: Connection, account: str, customers: Sequence[str]) -> dict[str, Reach]:
    """Of customers whose locks are held since an earlier statement: by their addresses now."""
    rows = connection.execute(
        text(
            "SELECT customer, email, phone FROM customers "
            "WHERE account = :account AND customer = ANY(CAST(:customers AS text[]))"
        ),
        {"account": account, "customers": list(customers)},
    )
    return {row.customer: reach(connection, *row) for row in rows}


class Standing(NamedTuple):
    """A suppression as it is recorded."""

    target: Target
    kind: SuppressionKind
    channel: Channel
    schedule: str
    customer: str | None
    """Beside whom it was recorded."""
    order_at: datetime

    @property
    def suppression(self) -> Suppression:
        return Suppression(self.kind, self.target.aim, self.channel, self.schedule)


def find(
    connection: Connection, account: str, reaches: Collection[Reach]
) -> dict[str, list[Standing]]:
    """What stands against each customer; of those who have something."""
    found = _look_up(connection, account, reaches)
    if not found:
        return {}
    by_target: dict[Target, list[Standing]] = {}
    for one in found:
        by_target.setdefault(one.target, []).append(one)
    standing = {
        reach.customer: [one for target in reach.targets for one in by_target.get(target, ())]
        for reach in reaches
    }
    return {customer: ones for customer, ones in standing.items() if ones}


def _look_up(connection: Connection, account: str, reaches: Collection[Reach]) -> list[Standing]:
    names = {target.name for reach in reaches for target in reach.targets}
    rows = connection.execute(_LOOK_UP, {"account": account, "targets": texts(sorted(names))})
    return [_standing(*row) for row in rows]


def _standing(target: str, aim: str, kind: str, channel: str, *rest: Any) -> Standing:
    return Standing(Target(Aim(aim), target), SuppressionKind(kind), Channel(channel), *rest)


_COLUMNS = "s.target, s.aim, s.kind, s.channel, s.schedule, s.customer, s.order_at"

_LOOK_UP = text(
    f"""
    SELECT {_COLUMNS} FROM json_array_elements_text(CAST(:targets AS json)) AS wanted (target),
    LATERAL (SELECT * FROM suppressions s
             WHERE s.account = :account AND s.target = wanted.target OFFSET 0) s
    """
)


class Recorded(NamedTuple):
    """A suppression to record; `customer`: beside whom, if it is one of its recipients."""

    target: Target
    channel: Channel
    customer: str | None = None


def hold(connection: Connection, account: str) -> None:
    """Be the one who writes an account's suppressions until the end of this transaction.

    A transaction applies several commands, and customers share addresses: two that record the same
    ones in another order would wait for each other. After the customers, before the counters.
    """
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('suppressions of ' || :account, 0))"),
        {"account": account},
    )


def record(
    connection: Connection,
    account: str,
    recorded: Sequence[Recorded],
    kind: SuppressionKind,
    *,
    schedule: str,
    order_at: datetime,
    command: str,
    source: str | None,
    now: datetime,
) -> None:
    """Record them; what is recorded already keeps who said so first, and the latest order."""
    if not recorded:
        return
    # Once each: customers may share an address.
    once = {(one.target.name, one.target.aim, one.channel): one for one in reversed(recorded)}
    ordered = [once[key] for key in sorted(once)]
    targets, channels, customers = zip(*ordered, strict=True)
    hold(connection, account)
    connection.execute(
        text(
            """
            INSERT INTO suppressions AS s (account, target, aim, kind, channel, schedule, customer,
                                           order_at, command, source, business_at)
            SELECT :account, target, aim, :kind, channel, :schedule, customer, :order_at, :command,
                   :source, :now
            FROM ROWS FROM (json_array_elements_text(CAST(:targets AS json)),
                            json_array_elements_text(CAST(:aims AS json)),
                            json_array_elements_text(CAST(:channels AS json)),
                            json_array_elements_text(CAST(:customers AS json)))
                 AS recorded (target, aim, channel, customer)
            ON CONFLICT (account, target, aim, channel, schedule, kind) DO UPDATE
            SET order_at = greatest(s.order_at, excluded.order_at)
            """
        ),
        {
            "account": account,
            "kind": kind,
            "schedule": schedule,
            "order_at": order_at,
            "command": command,
            "source": source or "",
            "now": now,
            "targets": texts(target.name for target in targets),
            "aims": texts(target.aim for target in targets),
            "channels": texts(channels),
            "customers": texts(customers),
        },
    )


def carry_over(connection: Connection, account: str, reaches: Iterable[Reach]) -> None:
    """Record of the address and number that customers have now what stands against them as such.

    For those who are about to lose both, one after another by their names: whoever comes back with
    them stays silenced. Not of what another customer has too, who may have consented since.
    """
    pairs = sorted(
        (target.name, target.aim.value, channel.value, one.customer)
        for one in reaches
        for target in one.targets
        if target.aim in (Aim.ADDRESS, Aim.NUMBER)
        for channel in target.aim.channels
    )
    if not pairs:
        return
    targets, aims, channels, customers = zip(*pairs, strict=True)
    hold(connection, account)
    connection.execute(
        text(
            """
            INSERT INTO suppressions (account, target, aim, kind, channel, schedule, customer,
                                      order_at, command, business_at)
            SELECT s.account, to_.target, to_.aim, s.kind, s.channel, s.schedule, s.target,
                   s.order_at, s.command, s.business_at
            FROM ROWS FROM (json_array_elements_text(CAST(:targets AS json)),
                            json_array_elements_text(CAST(:aims AS json)),
                            json_array_elements_text(CAST(:channels AS json)),
                            json_array_elements_text(CAST(:customers AS json)))
                 AS to_ (target, aim, channel, customer),
            LATERAL (SELECT * FROM suppressions s
                     WHERE s.account = :account AND s.target = to_.customer
                       AND s.aim = 'customer' AND s.channel = to_.channel OFFSET 0) s,
            LATERAL (SELECT lower(email COLLATE "C") AS email, phone FROM customers c
                     WHERE c.account = :account AND c.customer = to_.customer OFFSET 0) c
            WHERE NOT EXISTS (
                SELECT 1 FROM customers o
                WHERE o.account = :account AND to_.aim = 'address'
                  AND o.email IS NOT NULL AND lower(o.email COLLATE "C") = c.email
                  AND (o.customer > to_.customer OR o.customer <> ALL(CAST(:going AS text[]))))
              AND NOT EXISTS (
                SELECT 1 FROM customers o
                WHERE o.account = :account AND to_.aim = 'number'
                  AND o.phone IS NOT NULL AND o.phone = c.phone
                  AND (o.customer > to_.customer OR o.customer <> ALL(CAST(:going AS text[]))))
            ON CONFLICT (account, target, aim, channel, schedule, kind) DO NOTHING
            """
        ),
        {
            "account": account,
            "targets": texts(targets),
            "aims": texts(aims),
            "channels": texts(channels),
            "customers": texts(customers),
            "going": sorted(set(customers)),
        },
    )


def forget_sources(connection: Connection, account: str, reaches: Collection[Reach]) -> None:
    """Leave out who sent what stands against customers and their addresses: it may say who."""
    whose = {
        "account": account,
        "targets": [
            target.name for one in reaches for target in one.targets if target.aim is not Aim.DOMAIN
        ],
        "customers": [one.customer for one in reaches],
    }
    connection.execute(
        text(
            f"SELECT 1 FROM suppressions WHERE {_SAID_BY_SOMEBODY} "
            "ORDER BY target, aim, channel, schedule, kind FOR UPDATE"
        ),
        whose,
    )
    connection.execute(
        text(f"UPDATE suppressions SET source = '' WHERE {_SAID_BY_SOMEBODY}"), whose
    )


_SAID_BY_SOMEBODY = """
    account = :account AND source <> '' AND (target = ANY(CAST(:targets AS text[]))
                                             OR customer = ANY(CAST(:customers AS text[])))
"""


def recorded_beside(
    connection: Connection, account: str, customers: Sequence[str]
) -> list[Standing]:
    """What was recorded of recipients that these customers had then, and may have no more."""
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM suppressions s "
            "WHERE s.account = :account AND s.customer = ANY(CAST(:customers AS text[]))"
        ),
        {"account": account, "customers": list(customers)},
    )
    return [_standing(*row) for row in rows]


def lift(connection: Connection, account: str, lifted: Iterable[Standing]) -> None:
    """Delete these, as they were read: what was said anew since then stands."""
    ordered = sorted(set(lifted))
    if not ordered:
        return
    hold(connection, account)
    connection.execute(
        text(
            """
            DELETE FROM suppressions s
            USING ROWS FROM (json_array_elements_text(CAST(:targets AS json)),
                             json_array_elements_text(CAST(:aims AS json)),
                             json_array_elements_text(CAST(:kinds AS json)),
                             json_array_elements_text(CAST(:channels AS json)),
                             json_array_elements_text(CAST(:schedules AS json)),
                             json_array_elements_text(CAST(:orders AS json)))
                  AS l (target, aim, kind, channel, schedule, order_at)
            WHERE s.account = :account AND s.target = l.target AND s.aim = l.aim
              AND s.kind = l.kind AND s.channel = l.channel AND s.schedule = l.schedule
              AND s.order_at = CAST(l.order_at AS timestamptz)
            """
        ),
        {
            "account": account,
            "targets": texts(one.target.name for one in ordered),
            "aims": texts(one.target.aim for one in ordered),
            "kinds": texts(one.kind for one in ordered),
            "channels": texts(one.channel for one in ordered),
            "schedules": texts(one.schedule for one in ordered),
            "orders": texts(one.order_at.isoformat() for one in ordered),
        },
    )


def of_customer(connection: Connection, account: str, customer: str) -> list[dict[str, Any]]:
    """What stands against a customer and the recipients it has now, for whoever looks at it."""
    known = read_reach(connection, account, [customer])
    targets = [target for reach in known.values() for target in reach.targets]
    rows = connection.execute(
        text(
            """
            SELECT s.kind, s.channel, nullif(s.schedule, '') AS schedule, s.aim AS by,
                   s.business_at AS since, s.command, nullif(s.source, '') AS source
            FROM json_array_elements_text(CAST(:targets AS json)) WITH ORDINALITY
                 AS wanted (target, n)
            JOIN json_array_elements_text(CAST(:aims AS json)) WITH ORDINALITY AS of (aim, n)
                 USING (n),
            LATERAL (SELECT * FROM suppressions s
                     WHERE s.account = :account AND s.target = wanted.target AND s.aim = of.aim
                     OFFSET 0) s
            ORDER BY n, s.channel, s.schedule, s.kind
            """
        ),
        {
            "account": account,
            "targets": texts(target.name for target in targets),
            "aims": texts(target.aim for target in targets),
        },
    )
    return [dict(row) for row in rows.mappings()]


def whose(recipient: Recipient) -> str:
    """A condition on a customer: it has this recipient now. As the indexes say it."""
    return _WHOSE[recipient.aim]


_DOMAIN = "lower(split_part(email, '@', -1) COLLATE \"C\")"

_WHOSE = {
    Aim.ADDRESS: 'email IS NOT NULL AND lower(email COLLATE "C") = :recipient',
    Aim.DOMAIN: f"email IS NOT NULL AND {_DOMAIN} = :recipient",
    Aim.NUMBER: "phone IS NOT NULL AND phone = :recipient",
}
