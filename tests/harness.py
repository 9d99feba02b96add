"""Drives the engine's plain functions on a real database, one step at a time."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Self

from sqlalchemy import text

from channels.configure import channel_from_urls
from config.machine_time import Deadline
from domain.commands import BULK_FROM
from domain.message import Channel
from storage import outcomes
from storage.database import Engine
from storage.installation import use_key
from storage.outcomes import Outcome
from storage.starts import due_queues
from workers.bulk import apply_bulk
from workers.delivery import Delivery, deliver
from workers.desk import Desk
from workers.intake import accept_raw
from workers.lifecycle import apply_waiting

KEY = b"0123456789abcdef0123456789abcdef"
START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)  # a Monday

SCHEDULE: dict[str, Any] = {
    "anchor": "assigned_at",
    "steps": [
        {"offset": "PT0S", "channel": "email", "template": "hello"},
        {"offset": "P1D", "channel": "sms", "template": "nudge"},
        {"offset": "P3D", "channel": "email", "template": "hello"},
    ],
}
TEMPLATES: dict[str, dict[str, Any]] = {
    "hello": {
        "channel": "email",
        "default_language": "en",
        "texts": {"en": {"subject": "Hello {{ name }}", "text": "Dear {{ name }}, {{ customer }}"}},
    },
    "nudge": {
        "channel": "sms",
        "default_language": "en",
        "texts": {"en": {"text": "{{ name }}: a reminder, {{ customer }}"}},
    },
}


class Layby:
    """One test account on a test clock, its commands applied where the test says so."""

    account = "acme"

    def __init__(self, engine: Engine, outbox: Path, first: int = 1) -> None:
        self.engine = engine
        use_key(engine, KEY)
        self.outbox = outbox
        self.now = START
        self._ids = count(first)  # of the command that comes first
        self._seqs: dict[str, int] = {}
        self._bulk = False
        self.bulk_from = BULK_FROM
        desks = {
            channel: Desk(channel_from_urls(f"file://{outbox}", channel)) for channel in Channel
        }
        self.delivery = Delivery(engine, {}, desks, KEY, "test")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for desk in self.delivery.test_desks.values():
            desk.close()

    def accept(self, kind: str, **fields: Any) -> str:
        """Put a command into the inbox without applying it; returns its id."""
        command = {"id": f"cmd-{next(self._ids)}", "account": self.account, "kind": kind, **fields}
        with self.engine.begin() as connection:
            read = json.dumps(command, default=str).encode()
            accepted = accept_raw(connection, read, "test", bulk_from=self.bulk_from)
        if accepted is not None:
            self._bulk |= accepted.bulk
            self._seqs[accepted.command] = accepted.seq
        return str(command["id"])

    def apply(self, command: str) -> Outcome:
        """Apply what waits, as the lifecycle worker and then the bulk worker do."""
        apply_waiting(self.engine, self.account)
        if self._bulk:
            apply_bulk(self.engine, self.account)
        return self.outcome(command)

    def ring(self) -> None:
        """Apply what waits, as the lifecycle worker does."""
        apply_waiting(self.engine, self.account)

    def send(self, kind: str, **fields: Any) -> Outcome:
        """Accept and apply."""
        command = self.accept(kind, **fields)
        return self.apply(command) if command in self._seqs else self.outcome(command)

    def outcome(self, command: str) -> Outcome:
        with self.engine.connect() as connection:
            found = outcomes.read_outcome(connection, self.account, command)
        assert found is not None
        return found

    def set_up(self, active_limit: int = 100, schedule: dict[str, Any] | None = None) -> None:
        """An account with a plan, templates and the schedule `dunning`."""
        self.must(
            "put_account",
            active_limit=active_limit,
            name="Acme",
            email_from="Acme <billing@acme.example>",
            sms_from="Acme",
            test_clock=self.now,
        )
        for name, definition in TEMPLATES.items():
            self.must("put_template", template=name, definition=definition)
        self.must("put_schedule", schedule="dunning", definition=schedule or SCHEDULE)

    def must(self, kind: str, **fields: Any) -> Outcome:
        """Send a command that the test takes for granted."""
        outcome = self.send(kind, **fields)
        assert outcome.state == "applied", outcome
        return outcome

    def add(self, *customers: str, **profile: Any) -> None:
        """Customers in reserve, each reachable both ways; of the number no zone can be derived."""
        for customer in customers:
            details = {
                "name": customer.title(),
                "email": f"{customer}@example.org",
                "phone": "+80012345678",
                **profile,
            }
            self.must("add_customer", customers=[customer], profile=details)

    def on_schedule(self, *customers: str) -> None:
        """Active customers on the schedule `dunning`, first send due now."""
        self.add(*customers)
        self.must("activate", customers=list(customers))
        self.must("assign_schedule", customers=list(customers), schedule="dunning")

    def travel(self, by: timedelta) -> None:
        self.now += by
        self.must("put_account", test_clock=self.now)

    def deliver(self) -> None:
        """Deliver all that is due, and what that makes due."""
        while due := self._due():
            for channel in due:
                deliver(self.delivery, self.account, channel)

    def _due(self) -> list[Channel]:
        with self.engine.connect() as connection:
            pairs = due_queues(connection)
        return [Channel(channel) for account, channel in pairs if account == self.account]

    def one(self, sql: str, **values: Any) -> Any:
        """One value from the database."""
        with self.engine.connect() as connection:
            return connection.execute(text(sql), values).scalar_one()

    def rows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), values)]

    def ledger(self, customer: str) -> list[tuple[int, str, str]]:
        """(step, state, rule) of a customer's sends, in order."""
        return [
            (step, state, rule)
            for step, state, rule in self.rows(
                "SELECT step, state, rule FROM sends WHERE customer = :customer "
                "ORDER BY settled_at, step",
                customer=customer,
            )
        ]

    def mails(self) -> list[Path]:
        return sorted((self.outbox / "email" / "new").glob("*"))

    def texts(self) -> list[dict[str, Any]]:
        lines = self.outbox / "sms.jsonl"
        return (
            [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
        )


def soon() -> Deadline:
    """A bound on what must not hang."""
    return Deadline.after(20)


def numbered(prefix: str, number: int) -> Iterator[str]:
    return (f"{prefix}-{n}" for n in range(1, number + 1))
