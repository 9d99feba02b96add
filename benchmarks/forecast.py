"""`forecast`: an account's next 30 days, in one process: read, planned, and asked of the gate.

Customers in the world's zones as people live in them, their due dates over six weeks, on a schedule
of both channels with a repeat, a window, holidays, quiet hours and a cap.
"""

import json
import time
from collections.abc import Collection
from datetime import timedelta
from itertools import count
from typing import Any, LiteralString

import psycopg

from benchmarks.figure import Figure
from benchmarks.ground import BenchmarkError, Ground, url_of
from benchmarks.sizes import Size
from domain.forecast import Outlook
from ops.installation import Installation
from storage.accounts import read_account
from storage.database import reading
from workers.forecasting import Wanted, forecast
from workers.intake import accept_raw
from workers.lifecycle import apply_waiting

FIGURES = ("forecast",)
_ACCOUNT = "ahead"
_DAYS = 30
ZONES = (
    *("Asia/Kolkata", "Asia/Shanghai", "Europe/Paris", "Europe/Berlin", "Europe/London"),
    *("America/New_York", "America/Chicago", "America/Los_Angeles", "America/Sao_Paulo"),
    *("Africa/Lagos", "Africa/Cairo", "Asia/Tokyo", "Asia/Jakarta", "Australia/Sydney"),
)
_TEXT = {"subject": "{{ reference }}", "text": "Dear {{ name }}"}
SCHEDULE: dict[str, Any] = {
    "anchor": "due_date",
    "steps": [
        {"offset": "-P3D", "at": "09:30", "channel": "email", "template": "mail"},
        {"offset": "P1D", "at": "10:00", "channel": "sms", "template": "sms"},
        {"business_days": 5, "at": "09:30", "channel": "email", "template": "mail"},
    ],
    "repeat": {"every": "P7D", "times": 4},
    "window": {"weekdays": ["mon", "tue", "wed", "thu", "fri"]},
    "holidays": {"country": "FR"},
}
_SET_UP: tuple[dict[str, Any], ...] = (
    {
        "kind": "put_account",
        "name": "Sample Energy",
        "active_limit": 10_000_000,
        "email_from": "Sample Energy <billing@sample.example>",
        "rules": {
            "no_send_hours": {"from": "20:00", "until": "08:00"},
            "caps": [{"at_most": 3, "in": "P7D"}],
        },
    },
    {
        "kind": "put_template",
        "template": "mail",
        "definition": {"channel": "email", "default_language": "en", "texts": {"en": _TEXT}},
    },
    {
        "kind": "put_template",
        "template": "sms",
        "definition": {
            "channel": "sms",
            "default_language": "en",
            "texts": {"en": {"text": "{{ reference }}"}},
        },
    },
    {
        "kind": "put_schedule",
        "schedule": "dunning",
        "definition": SCHEDULE,
    },
)
_FILL: tuple[LiteralString, ...] = (
    """
    INSERT INTO customers (account, customer, place, name, email, phone, zone, language)
    SELECT %(account)s, 'c-' || n, 'active', 'Isla Merrick ' || n, 'c-' || n || '@inbox.example',
           '+8001' || lpad(n::text, 7, '0'),
           (%(zones)s::text[])[1 + n %% cardinality(%(zones)s::text[])], 'en'
    FROM generate_series(1, %(customers)s) AS n
    """,
    """
    INSERT INTO slots (account, customer, activated_at)
    SELECT account, customer, now() FROM customers WHERE account = %(account)s
    """,
    """
    INSERT INTO enrolments (account, customer, slot, schedule, version, reference, anchor_date)
    SELECT account, customer, slot, 'dunning', 1, 'INV', current_date + 4 + (slot %% 42)::int
    FROM slots WHERE account = %(account)s
    """,
    """
    INSERT INTO pending (account, enrolment, slot, customer, step, channel, planned_at, due_at)
    SELECT e.account, e.enrolment, e.slot, e.customer, 0, 'email', at, at
    FROM enrolments e JOIN customers c USING (account, customer),
         LATERAL (SELECT (e.anchor_date - 3 + time '09:30') AT TIME ZONE c.zone AS at) planned
    WHERE e.account = %(account)s
    """,
    "UPDATE counters SET active = %(customers)s WHERE account = %(account)s",
    "VACUUM ANALYZE",
)


def measure(ground: Ground, size: Size, wanted: Collection[str]) -> dict[str, Figure]:
    """Sends foreseen a second, over all of the account's customers."""
    del wanted
    with ground.installation("forecast") as installation:
        _fill(installation, size.customers)
        ground.settle_down()
        began = time.monotonic()
        sends = _look_ahead(installation)
        seconds = time.monotonic() - began
    if sends < size.customers:
        raise BenchmarkError(f"Of {size.customers} customers only {sends} sends were foreseen.")
    more = {"customers": size.customers, "days": _DAYS, "sends": sends, "seconds": seconds}
    goal = f"{size.customers:,} customers, {_DAYS} days in {seconds:.0f} s"
    return {"forecast": Figure(sends / seconds, "sends/s", goal=goal, more=more)}


def _look_ahead(installation: Installation) -> int:
    with reading(installation.engine) as connection:
        account = read_account(connection, _ACCOUNT)
        assert account is not None, "it was set up"
        wanted = Wanted(account.now + timedelta(days=_DAYS))
        return sum(
            one.send.outlook is Outlook.SENT for one in forecast(connection, account, wanted)
        )


def _fill(installation: Installation, customers: int) -> None:
    numbers = count(1)
    with installation.engine.begin() as connection:
        for command in _SET_UP:
            named = {"id": f"set-up-{next(numbers)}", "account": _ACCOUNT, **command}
            assert accept_raw(connection, json.dumps(named).encode(), "bench") is not None
    apply_waiting(installation.engine, _ACCOUNT)
    values = {"account": _ACCOUNT, "customers": customers, "zones": list(ZONES)}
    with psycopg.connect(url_of(installation), autocommit=True) as connection:
        for statement in _FILL:
            connection.execute(statement, values)
