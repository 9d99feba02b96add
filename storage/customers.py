"""Customers and their slots: locks first, facts in a later statement, then the changes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from domain.customer import CustomerState
from domain.journey import Place, Status
from domain.profile import Profile
from domain.whereabouts import derived_zone
from storage.columns import numbers, texts
from storage.often import Often
from storage.switches import HELD


class AppearedError(Exception):
    """A customer or a slot came to be while we waited: begin the transaction anew."""


def lock(connection: Connection, account: str, customers: Sequence[str]) -> set[int]:
    """Hold these customers and their slots, by id, before anything is read; returns the slots.

    A name without a row is held too, so that two commands that add it wait for each other. A slot
    made while the customer was waited for is not seen here: `check_held`, with the facts, is.
    """
    rows = _LOCK.rows(connection, {"account": account, "customers": list(customers)})
    missing = sorted(set(customers) - {customer for customer, _ in rows})
    if missing:
        _lock_names(connection, account, missing)
    return {slot for _, slot in rows if slot is not None}


_LOCK = Often(
    f"""
    WITH found AS MATERIALIZED (
        SELECT customer FROM customers WHERE account = :account
           AND customer = ANY(ARRAY(SELECT unnest(CAST(:customers AS text[])))) AND {HELD}
        ORDER BY customer FOR UPDATE
    ), theirs AS MATERIALIZED (
        SELECT customer, slot FROM slots WHERE account = :account
           AND customer = ANY(ARRAY(SELECT customer FROM found)) ORDER BY slot FOR UPDATE
    )
    SELECT customer, slot FROM found LEFT JOIN theirs USING (customer)
    """
)


def check_held(states: Iterable[CustomerState], slots: set[int]) -> None:
    """Raise AppearedError for a slot that is not held: its customer was just (re)activated."""
    if not {state.slot for state in states if state.slot is not None} <= slots:
        raise AppearedError


def _lock_names(connection: Connection, account: str, names: Sequence[str]) -> None:
    connection.execute(
        text(
            "SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) "
            "FROM (SELECT DISTINCT CAST(:account AS text) || '/' || name AS key "
            "      FROM unnest(CAST(:names AS text[])) AS name ORDER BY key) AS keys"
        ),
        {"account": account, "names": list(names)},
    )
    appeared = connection.execute(
        text(
            "SELECT 1 FROM customers WHERE account = :account "
            "AND customer = ANY(CAST(:names AS text[])) LIMIT 1"
        ),
        {"account": account, "names": list(names)},
    ).one_or_none()
    if appeared is not None:
        # To wait for the row now would be out of order.
        raise AppearedError


def read_states(
    connection: Connection, account: str, customers: Sequence[str]
) -> dict[str, CustomerState]:
    """What the rules need, of every customer asked for, under its locks."""
    rows = connection.execute(
        text(
            """
            SELECT c.customer, c.place, s.slot, s.paused_at IS NOT NULL, c.kept, c.silenced_at,
                   coalesce(c.zone, c.derived_zone), c.redacted_at IS NOT NULL
            FROM customers c LEFT JOIN slots s ON s.account = c.account AND s.customer = c.customer
            WHERE c.account = :account AND c.customer = ANY(CAST(:customers AS text[]))
            """
        ),
        {"account": account, "customers": list(customers)},
    )
    states = {customer: CustomerState(customer) for customer in customers}
    for customer, place, *rest in rows:
        states[customer] = CustomerState(customer, Place(place), *rest)
    return states


class Added(NamedTuple):
    """A new customer and what is known of it."""

    customer: str
    profile: Profile


def add(connection: Connection, account: str, added: Sequence[Added], now: datetime) -> None:
    """New customers in reserve; one who is to be active still needs `give_slots`."""
    if not added:
        return
    connection.execute(
        text(
            """
            INSERT INTO customers (account, customer, place, name, email, phone, country, zone,
                                   language, "values", created_at, derived_zone)
            SELECT :account, customer, 'reserve', name, email, phone, country, zone, language,
                   "values", :now, derived_zone
            FROM jsonb_to_recordset(CAST(:added AS jsonb)) AS row
                 (customer text, name text, email text, phone text, country text, zone text,
                  language text, "values" jsonb, derived_zone text)
            """
        ),
        {
            "account": account,
            "now": now,
            "added": json.dumps([_row(one) for one in added]),
        },
    )


def _row(added: Added) -> dict[str, object]:
    profile = added.profile
    derived = derived_zone(profile.phone, profile.country)
    return {"customer": added.customer, **profile.model_dump(), "derived_zone": derived}


def update(
    connection: Connection, account: str, customers: Sequence[str], profile: Profile
) -> None:
    """Change the details that the profile gives; `values` are merged by name."""
    changes = profile.changes()
    values = changes.pop("values", {})
    columns = "".join(f"{column} = :{column}, " for column in changes)
    connection.execute(
        text(
            f"""
            UPDATE customers SET {columns} "values" = "values" || CAST(:new_values AS jsonb)
            WHERE account = :account AND customer = ANY(CAST(:customers AS text[]))
            """
        ),
        {
            **changes,
            "new_values": json.dumps(values),
            "account": account,
            "customers": list(customers),
        },
    )


class Whereabouts(NamedTuple):
    """What a customer's zone is derived from, and what it was derived as."""

    customer: str
    phone: str | None
    country: str | None
    zone: str | None
    """Its own, which comes first."""
    derived_zone: str | None


def read_whereabouts(
    connection: Connection, account: str, customers: Sequence[str]
) -> list[Whereabouts]:
    """Of these customers, whose locks are held."""
    rows = connection.execute(
        text(
            "SELECT customer, phone, country, zone, derived_zone FROM customers "
            "WHERE account = :account AND customer = ANY(CAST(:customers AS text[]))"
        ),
        {"account": account, "customers": list(customers)},
    )
    return [Whereabouts(*row) for row in rows]


def set_derived_zones(
    connection: Connection, account: str, zones: Mapping[str, str | None]
) -> None:
    """Keep the zones that were derived, by customer."""
    connection.execute(
        text(
            "UPDATE customers c SET derived_zone = d.zone "
            "FROM unnest(CAST(:customers AS text[]), CAST(:zones AS text[])) AS d (customer, zone) "
            "WHERE c.account = :account AND c.customer = d.customer"
        ),
        {"account": account, "customers": list(zones), "zones": list(zones.values())},
    )


def give_slots(
    connection: Connection, account: str, customers: Sequence[str], now: datetime
) -> None:
    """Make customers active, each with a new slot: on track, not paused, on no schedule."""
    connection.execute(
        text(
            """
            WITH placed AS (
                UPDATE customers SET place = 'active'
                WHERE account = :account AND customer = ANY(CAST(:customers AS text[]))
                RETURNING account, customer
            )
            INSERT INTO slots (account, customer, activated_at)
            SELECT account, customer, :now FROM placed ORDER BY customer
            """
        ),
        {"account": account, "customers": list(customers), "now": now},
    )


def purge(connection: Connection, account: str, customers: Sequence[str]) -> None:
    """Delete customers and what was noted of them.

    Whatever else is recorded is kept, and its customer is not purged.
    """
    connection.execute(
        text(
            """
            WITH gone AS (
                DELETE FROM customers
                WHERE account = :account AND customer = ANY(CAST(:customers AS text[]))
                RETURNING account, customer
            )
            DELETE FROM facts f USING gone
            WHERE f.account = gone.account AND f.customer = gone.customer
            """
        ),
        {"account": account, "customers": list(customers)},
    )


def set_paused(
    connection: Connection, account: str, slots: Sequence[int], at: datetime | None
) -> None:
    """Mark slots paused since `at`, or not paused."""
    connection.execute(
        text(
            "UPDATE slots SET paused_at = CASE WHEN CAST(:at AS timestamptz) IS NULL THEN NULL "
            "ELSE coalesce(paused_at, :at) END "
            "WHERE account = :account AND slot = ANY(CAST(:slots AS bigint[]))"
        ),
        {"account": account, "slots": list(slots), "at": at},
    )


def set_statuses(connection: Connection, account: str, statuses: Mapping[int, Status]) -> None:
    """Set the collection status of slots; their locks are held."""
    connection.execute(
        text(
            "UPDATE slots s SET status = new.status "
            "FROM ROWS FROM (unnest(CAST(:slots AS bigint[])), "
            "                json_array_elements_text(CAST(:statuses AS json))) "
            "AS new (slot, status) "
            "WHERE s.account = :account AND s.slot = new.slot AND s.status <> new.status"
        ),
        {
            "account": account,
            "slots": numbers(statuses),
            "statuses": texts(status.value for status in statuses.values()),
        },
    )


def mark_silenced(
    connection: Connection, account: str, customers: Sequence[str], order_at: datetime
) -> None:
    """Remember that a silencing command of this order came, whether it was applied or refused."""
    connection.execute(
        text(
            "UPDATE customers SET silenced_at = greatest(silenced_at, :order_at) "
            "WHERE account = :account AND customer = ANY(CAST(:customers AS text[]))"
        ),
        {"account": account, "customers": list(customers), "order_at": order_at},
    )


def mark_kept(connection: Connection, account: str, customers: Sequence[str]) -> None:
    """Something is recorded that is kept for good: these are never purged."""
    connection.execute(
        text(
            "UPDATE customers SET kept = true "
            "WHERE account = :account AND customer = ANY(CAST(:customers AS text[]))"
        ),
        {"account": account, "customers": list(customers)},
    )
