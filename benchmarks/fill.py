"""Customers by the hundred thousand, each on a schedule: made with set-based SQL, then analysed.

Accounts, templates and schedules come in through the inbox, as everyone's do.
"""

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from benchmarks.ground import url_of
from benchmarks.rules import Midday, midday
from ops.installation import Installation
from workers.intake import accept_raw
from workers.lifecycle import apply_waiting

SCHEDULE = "reminders"
_TEMPLATE = Path(__file__).parents[1] / "examples" / "templates" / "due_soon.json"
_STEPS = 200
"""As many as a schedule has at most, so that no benchmark runs dry."""

_numbers = count(1)


def set_up(
    installation: Installation, account: str, rules: Mapping[str, Any] | None = None
) -> None:
    """A live account with room for everyone; its schedule has a step for every second."""
    steps = [
        {"offset": f"PT{step}S", "channel": "email", "template": "due_soon"}
        for step in range(_STEPS)
    ]
    commands: list[dict[str, Any]] = [
        {
            "kind": "put_account",
            "name": "Sample Energy",
            "active_limit": 10_000_000,
            "email_from": "Sample Energy <billing@sample.example>",
            "rules": rules or {},
        },
        {
            "kind": "put_template",
            "template": "due_soon",
            "definition": json.loads(_TEMPLATE.read_text("utf-8")),
        },
        {
            "kind": "put_schedule",
            "schedule": SCHEDULE,
            "definition": {"anchor": "assigned_at", "steps": steps},
        },
    ]
    with installation.engine.begin() as connection:
        for command in commands:
            named = {"id": f"set-up-{next(_numbers)}", "account": account, **command}
            assert accept_raw(connection, json.dumps(named).encode(), "bench") is not None
    apply_waiting(installation.engine, account)


def enrol(
    installation: Installation,
    accounts: Sequence[str],
    customers: int,
    *,
    due_in: str,
    enrolments: int = 1,
    rules: Mapping[str, Any] | None = None,
) -> None:
    """Active customers of each account, with as many pending sends each; `due_in` an interval.

    With `rules` they live where it is the middle of the day.
    """
    for account in accounts:
        set_up(installation, account, rules)
    places = midday() if rules else Midday([], [])
    with ThreadPoolExecutor(os.cpu_count()) as together:
        numbers: dict[str, Any] = {
            "customers": customers,
            "enrolments": enrolments,
            "due_in": due_in,
        }
        numbers |= places._asdict()
        list(together.map(lambda account: _enrol(installation, account, numbers), accounts))
    with psycopg.connect(url_of(installation), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _enrol(installation: Installation, account: str, numbers: Mapping[str, Any]) -> None:
    with psycopg.connect(url_of(installation), autocommit=True) as connection:
        for statement in _FILL:
            connection.execute(statement, {"account": account, "schedule": SCHEDULE, **numbers})


def make_due(installation: Installation) -> None:
    """Let the first enrolment of every customer be due since an hour; the others stay ahead."""
    with psycopg.connect(url_of(installation)) as connection:
        for statement in _MAKE_DUE:
            connection.execute(statement)
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE pending, enrolments")


_FILL: tuple[LiteralString, ...] = (
    """
    INSERT INTO customers (account, customer, place, name, email, language, zone, country, "values")
    SELECT %(account)s, 'c-' || n, 'active', 'Isla Merrick ' || n, 'c-' || n || '@inbox.example',
           'en', (%(zones)s::text[])[1 + n %% nullif(cardinality(%(zones)s::text[]), 0)],
           (%(countries)s::text[])[1 + n %% nullif(cardinality(%(countries)s::text[]), 0)],
           jsonb_build_object('invoice', 'INV-' || n, 'amount', (n %% 900 + 9.99)::text,
                                    'currency', 'EUR', 'due_date', '2027-03-05')
    FROM generate_series(1, %(customers)s) AS n
    """,
    """
    INSERT INTO slots (account, customer, activated_at)
    SELECT account, customer, now() FROM customers WHERE account = %(account)s
    """,
    """
    INSERT INTO enrolments (account, customer, slot, schedule, version, reference, anchor_at)
    SELECT account, customer, slot, %(schedule)s, 1, 'r-' || n, now() + %(due_in)s::interval
    FROM slots, generate_series(1, %(enrolments)s) AS n WHERE account = %(account)s
    """,
    """
    INSERT INTO pending (account, enrolment, slot, customer, step, channel, planned_at, due_at)
    SELECT account, enrolment, slot, customer, 0, 'email', anchor_at, anchor_at
    FROM enrolments WHERE account = %(account)s
    """,
    "UPDATE counters SET active = %(customers)s WHERE account = %(account)s",
)

_MAKE_DUE: tuple[LiteralString, ...] = (
    """
    UPDATE enrolments SET anchor_at = now() - interval '1 hour'
    WHERE reference = 'r-1' AND slot IS NOT NULL
    """,
    """
    UPDATE pending p SET due_at = e.anchor_at, planned_at = e.anchor_at FROM enrolments e
    WHERE e.account = p.account AND e.enrolment = p.enrolment AND e.reference = 'r-1'
    """,
)
