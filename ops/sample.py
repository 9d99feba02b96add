"""A small live account from examples/: what `layby up --sample` loads, once."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from domain.commands import read_command
from ops.customer_file import read_customer_file
from ops.installation import Installation
from storage import inbox
from storage.accounts import read_account

ACCOUNT = "sample"
EXAMPLES = Path(__file__).parents[1] / "examples"
_CUSTOMERS = 25
ACTIVE = 20
"""Of them: each has an email address, and is on the schedule `at-once`."""


def load_sample(installation: Installation) -> str:
    """Accept the sample's commands, if the account is not there; returns what to say."""
    with installation.engine.begin() as connection:
        if read_account(connection, ACCOUNT) is not None:
            return f"The account {ACCOUNT} is there already."
        for command in _numbered(_commands()):
            inbox.accept(connection, read_command(json.dumps(command, default=str)), "sample")
    installation.bell().waiting(ACCOUNT)
    return (
        f"The account {ACCOUNT} has {ACTIVE} active customers: see layby customers, and "
        f"layby explain CUSTOMER. Their first messages go to {installation.settings.email_url}."
    )


def _numbered(commands: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"id": f"sample-{number:03d}", "account": ACCOUNT, "source": "sample", **command}
        for number, command in enumerate(commands, 1)
    ]


def _commands() -> list[dict[str, Any]]:
    return [*_set_up(), *_customers()]


def _set_up() -> list[dict[str, Any]]:
    templates = [
        {"kind": "put_template", "template": path.stem, "definition": _read(path)}
        for path in sorted((EXAMPLES / "templates").glob("*.json"))
    ]
    at_once = {
        "anchor": "assigned_at",
        "steps": [{"offset": "PT5S", "channel": "email", "template": "due_soon"}],
    }
    return [
        {
            "kind": "put_account",
            "name": "Sample Energy",
            "active_limit": ACTIVE,
            "email_from": "Sample Energy <billing@sample.example>",
            "sms_from": "Sample",
        },
        *templates,
        {
            "kind": "put_schedule",
            "schedule": "dunning",
            "definition": _read(EXAMPLES / "schedule.json"),
        },
        {"kind": "put_schedule", "schedule": "at-once", "definition": at_once},
    ]


def _customers() -> list[dict[str, Any]]:
    rows = read_customer_file(EXAMPLES / "customers.csv").customers[:_CUSTOMERS]
    adds = [
        {
            "kind": "add_customer",
            "customers": [row.customer],
            "profile": row.profile.model_dump(exclude_none=True, exclude_unset=True),
        }
        for row in rows
    ]
    names = [row.customer for row in rows[:ACTIVE]]
    today = datetime.now(UTC).date()
    due = [
        {
            "kind": "assign_schedule",
            "customers": [name],
            "schedule": "dunning",
            "due_date": today + timedelta(days=number % 10),
        }
        for number, name in enumerate(names)
    ]
    at_once = {"kind": "assign_schedule", "customers": names, "schedule": "at-once"}
    return [*adds, {"kind": "activate", "customers": names}, *due, at_once]


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
