"""Facts that upstream systems know: recorded once, never changed."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from pydantic import BaseModel
from sqlalchemy import Connection, text

from domain.facts import Debt


def add(
    connection: Connection,
    account: str,
    customers: Sequence[str],
    kind: str,
    fact: BaseModel,
    seq: int,
    now: datetime,
) -> None:
    """Record the same fact of each of these customers."""
    connection.execute(
        text(
            """
            INSERT INTO facts (account, customer, kind, data, seq, business_at)
            SELECT :account, customer, :kind, CAST(:data AS jsonb), :seq, :now
            FROM unnest(CAST(:customers AS text[])) AS customer
            """
        ),
        {
            "account": account,
            "customers": list(customers),
            "kind": kind,
            "data": fact.model_dump_json(exclude_none=True),
            "seq": seq,
            "now": now,
        },
    )


def read_debts(
    connection: Connection, account: str, customers: Sequence[str], reference: str
) -> dict[str, Debt]:
    """What is known of one reference, of each customer of whom anything is."""
    rows = connection.execute(
        text(_DEBTS), {"account": account, "customers": list(customers), "reference": reference}
    )
    return {
        customer: Debt(
            invoiced,
            None if amount is None else Decimal(amount),
            currency,
            None if due_date is None else date.fromisoformat(due_date),
            paid,
            said_full,
        )
        for customer, invoiced, amount, currency, due_date, paid, said_full in rows
    }


# The newest invoice that gives a detail has the last word on it. What was paid in another currency
# than that can't be added up with it, whichever of them came first.
_DEBTS = f"""
    WITH told AS (
        SELECT fact, customer, kind, data FROM facts
        WHERE account = :account AND customer = ANY(CAST(:customers AS text[]))
          AND data->>'reference' = :reference AND kind IN ('invoice', 'payment')
    ), invoices AS (
        SELECT customer, {
    ", ".join(
        f"(array_agg(data->>'{detail}' ORDER BY fact DESC) "
        f"FILTER (WHERE data ? '{detail}'))[1] AS {detail}"
        for detail in ("amount", "currency", "due_date")
    )
}
        FROM told WHERE kind = 'invoice' GROUP BY customer
    )
    SELECT customer, bool_or(kind = 'invoice'), i.amount, i.currency, i.due_date,
           coalesce(sum(CAST(data->>'amount' AS numeric)) FILTER
                    (WHERE kind = 'payment' AND coalesce(data->>'currency' = i.currency, true)), 0),
           coalesce(bool_or(data->>'full' = 'true' OR NOT data ?| ARRAY['full', 'amount'])
                    FILTER (WHERE kind = 'payment'), false)
    FROM told LEFT JOIN invoices i USING (customer)
    GROUP BY customer, i.amount, i.currency, i.due_date
"""
