"""What a test plays on: servers of its own, the settings that name them, and the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from acceptance.raw_redis import RawRedis
from acceptance.supervisor import Start, Supervisor, on_path
from warm import WarmLayby

KEY = "0123456789abcdef0123456789abcdef"


class Stage:
    """Runs `layby` as a shell would, reads the database, and publishes what upstream would."""

    def __init__(self, database_url: str, redis_url: str, folder: Path, warm: WarmLayby) -> None:
        self._warm = warm
        self.database_url = database_url
        self.redis_url = redis_url
        self.folder = folder
        others = {name: value for name, value in os.environ.items() if not name.startswith("LAYBY")}
        self.environ = {
            **others,
            "PATH": on_path(Path(sys.executable).parent),
            "LAYBY_HOME": str(folder / "home"),
            "LAYBY_DATABASE_URL": database_url,
            "LAYBY_REDIS_URL": redis_url,
            "LAYBY_SECRET_KEY": KEY,
            "LAYBY_HTTP_PORT": "0",
            "LAYBY_EMAIL_URL": f"file://{folder / 'outbox'}",
            "LAYBY_SMS_URL": f"file://{folder / 'outbox'}",
        }

    def supervisor(self, start: Start | None = None) -> Supervisor:
        """Of processes forked from one that has imported `layby`, or started otherwise."""
        return Supervisor(self.environ, self.folder, start or self._warm.start)

    def layby(
        self, *words: str, typed: str | None = None, **settings: str | None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; `settings` (LAYBY_… names in lower case) differ or, if None, are unset."""
        changed = {f"LAYBY_{name.upper()}": value for name, value in settings.items()}
        environ = {**self.environ, **changed}
        known = {name: value for name, value in environ.items() if value is not None}
        return self._warm.run(words, known, self.folder, typed or "")

    def publish(self, *commands: dict[str, Any]) -> None:
        """Put commands into the stream, as a producer that is not Python does."""
        with RawRedis(self.redis_url) as producer:
            producer.publish(*map(as_json, commands))

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(sql, values).fetchall()

    def one(self, sql: str, *values: object) -> Any:
        """One value from the database."""
        ((value,),) = self.rows(sql, *values)
        return value

    @contextmanager
    def locked(self, table: str, mode: str) -> Iterator[None]:
        """Hold a lock on a table, so that others wait where they need the table."""
        with psycopg.connect(self.database_url) as connection:
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            connection.execute(f"LOCK TABLE {table} IN {mode} MODE")
            yield
            connection.rollback()

    def states(self, *commands: str) -> list[str | None]:
        """How far these commands are; None: not taken in yet."""
        found = dict(
            self.rows("SELECT command, state FROM commands WHERE command = ANY(%s)", list(commands))
        )
        return [found.get(command) for command in commands]

    def all_are(self, state: str, *commands: str) -> bool:
        return set(self.states(*commands)) == {state}


def as_json(command: dict[str, Any]) -> bytes:
    return json.dumps(command, ensure_ascii=False).encode()


def command(name: str, kind: str, /, **fields: Any) -> dict[str, Any]:
    """A command of account `acme`."""
    return {"id": name, "account": "acme", "kind": kind, **fields}


def set_up(offsets: Iterable[str] = ("PT0S",), limit: int = 100_000) -> list[dict[str, Any]]:
    """A live account with the schedule `reminders`: a step at each offset, by email."""
    steps = list(offsets)
    templates = [
        command(
            f"template-{step}",
            "put_template",
            template=f"step-{step}",
            definition={
                "channel": "email",
                "default_language": "en",
                "texts": {
                    "en": {
                        "subject": f"Reminder {step} for {{{{ customer }}}}",
                        "text": f"Dear {{{{ name }}}}, this is reminder {step}.",
                    }
                },
            },
        )
        for step in range(len(steps))
    ]
    schedule = {
        "anchor": "assigned_at",
        "steps": [
            {"offset": offset, "channel": "email", "template": f"step-{step}"}
            for step, offset in enumerate(steps)
        ],
    }
    return [
        command(
            "account",
            "put_account",
            name="Acme",
            active_limit=limit,
            email_from="Acme <billing@acme.example>",
        ),
        *templates,
        command("schedule", "put_schedule", schedule="reminders", definition=schedule),
    ]


def active(*customers: str) -> list[dict[str, Any]]:
    """Customers straight to active, each with an address of its own."""
    return [
        command(
            f"add-{customer}",
            "add_customer",
            customers=[customer],
            place="active",
            profile={"name": customer.title(), "email": f"{customer}@example.org"},
        )
        for customer in customers
    ]


def assign(name: str, *customers: str) -> dict[str, Any]:
    return command(name, "assign_schedule", customers=list(customers), schedule="reminders")


def move(name: str, *customers: str) -> dict[str, Any]:
    return command(name, "move_to_directory", customers=list(customers), source="shop")
