"""Commands as senders write them."""

import json
from typing import Any

from harness import SCHEDULE, START, TEMPLATES


def raw(name: str, kind: str, account: str = "acme", **fields: Any) -> bytes:
    command = {"id": name, "account": account, "kind": kind, **fields}
    return json.dumps(command, default=str).encode()


def dense(command: bytes, *, escaped: bool = True) -> bytes:
    """The same without blanks."""
    return json.dumps(
        json.loads(command), separators=(",", ":"), ensure_ascii=escaped, sort_keys=True
    ).encode()


def profile(**fields: Any) -> bytes:
    return raw("ID", "add_customer", customers=["eve"], profile=fields)


def values(written: str) -> bytes:
    """A command with these values, written just so."""
    return profile(values={}).replace(b'"values": {}', b'"values": {%b}' % written.encode())


def template(*languages: str) -> bytes:
    texts = {language: {"text": language, "subject": language} for language in languages}
    definition = {"channel": "email", "default_language": "en", "texts": texts}
    return raw("ID", "put_template", template="t", definition=definition)


def as_long_as(length: int) -> bytes:
    """A dense command of so many bytes: an import of rows with long cells."""
    rows = "".join(f"c-{n},{'x' * 90_000}\n" for n in range(length // 90_100))
    csv = f"id,note\n{rows}c,"
    missing = length - len(dense(raw("long", "import_customers", csv=csv)))
    return dense(raw("long", "import_customers", csv=csv + "x" * missing))


def set_up(active_limit: int, directory_limit: int) -> tuple[bytes, ...]:
    """A test account with this plan, templates and the schedule `dunning`."""
    limits: dict[str, Any] = {"active_limit": active_limit, "directory_limit": directory_limit}
    return (
        raw("account", "put_account", **limits, test_clock=START),
        *(
            raw(name, "put_template", template=name, definition=definition)
            for name, definition in TEMPLATES.items()
        ),
        raw("schedule", "put_schedule", schedule="dunning", definition=SCHEDULE),
    )
