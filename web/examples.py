"""Examples and error answers of the OpenAPI document, in one place and one form."""

from http import HTTPStatus
from typing import Any

from domain.forecast import ASSUMES
from web.problems import MEDIA_TYPE, problem

COMMAND = {
    "id": "m-1",
    "account": "acme",
    "kind": "move_to_directory",
    "customers": ["c-17"],
    "source": "billing",
    "reason": "paid",
}
OUTCOME = {
    "id": "m-1",
    "account": "acme",
    "kind": "move_to_directory",
    "state": "applied",
    "received_at": "2026-11-22T10:00:00.100Z",
    "done_at": "2026-11-22T10:00:00.112Z",
    "targets": 1,
    "applied": 1,
    "superseded": 0,
    "cancelled": 3,
    "started": 0,
    "unknown": 0,
    "quiet_at": "2026-11-22T10:00:00.112Z",
    "refusals": [],
}
ITEMS = [
    {"status": 202, "outcome": OUTCOME, "problem": None},
    {
        "status": 422,
        "outcome": None,
        "problem": problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "customers: is missing.", "unreadable"
        ).model_dump(mode="json"),
    },
]
COMMAND_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "anyOf": [
                    {"$ref": "#/components/schemas/Command"},
                    {"type": "array", "items": {"$ref": "#/components/schemas/Command"}},
                ]
            },
            "examples": {
                "one": {"value": COMMAND},
                "batch": {"value": [COMMAND, {**COMMAND, "id": "m-2", "kind": "pause"}]},
            },
        },
        "application/x-ndjson": {
            "schema": {"type": "string"},
            "example": '{"id": "m-1", "account": "acme", "kind": "pause", "customers": ["c-1"]}\n'
            '{"id": "m-2", "account": "acme", "kind": "pause", "customers": ["c-2"]}\n',
        },
    },
}
TOKEN_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/TokenWanted"},
            "example": {"role": "operator", "label": "billing", "days": 90},
        }
    },
}
CUSTOMER = {
    "account": "acme",
    "customer": "c-17",
    "place": "active",
    "status": "on_track",
    "paused": False,
    "redacted": False,
    "schedules": 1,
    "next_send": "2026-12-01T08:30:00Z",
}
CUSTOMERS = {"customers": [CUSTOMER], "next": "WyJhY21lIiwiYy0xNyJd"}
DETAIL = {
    "account": "acme",
    "customer": "c-17",
    "place": "active",
    "status": "on_track",
    "paused_at": None,
    "activated_at": "2026-11-20T09:00:00Z",
    "zone": "Europe/Paris",
    "language": "fr",
    "has_email": True,
    "has_phone": True,
    "redacted_at": None,
    "suppressions": [
        {
            "kind": "opted_out",
            "channel": "sms",
            "schedule": None,
            "by": "number",
            "since": "2026-11-21T10:00:00Z",
            "command": "stop-1",
            "source": "sms",
        }
    ],
    "coming": [
        {
            "schedule": "dunning",
            "version": 1,
            "reference": "INV-1042",
            "step": 1,
            "steps": 3,
            "held": None,
            "held_until": None,
            "due_at": "2026-12-01T08:30:00Z",
            "planned_at": "2026-12-01T08:30:00Z",
            "channel": "email",
            "attempts": 0,
        }
    ],
}
TIMELINE = {
    "account": "acme",
    "customer": "c-17",
    "events": [
        {
            "recorded_at": "2026-11-20T09:00:00Z",
            "business_at": "2026-11-20T09:00:00Z",
            "event": "customer_added",
            "data": {"place": "active"},
            "command": "c-1",
            "source": "crm",
            "reason": None,
        }
    ],
    "before": None,
}
FORECAST: dict[str, Any] = {
    "account": "acme",
    "now": "2026-11-27T10:00:00Z",
    "until": "2026-12-27T10:00:00Z",
    "assumes": ASSUMES,
    "sends": [
        {
            "customer": "c-17",
            "schedule": "dunning",
            "version": 1,
            "reference": "INV-1042",
            "step": 1,
            "steps": 3,
            "outlook": "sent",
            "at": "2026-12-01T08:30:00Z",
            "local": "2026-12-01T09:30:00+01:00",
            "zone": "Europe/Paris",
            "planned_at": "2026-12-01T08:30:00Z",
            "channel": "email",
            "template": "friendly-reminder",
            "rule": None,
            "reason": None,
            "fallback": None,
            "put_off": [],
        }
    ],
    "next": None,
}
QUEUES = {
    "queues": [
        {
            "account": "acme",
            "queue": "email",
            "due": 12,
            "oldest_due": "2026-11-22T10:00:00Z",
            "later": 4000,
            "more": False,
            "started": 50,
        }
    ]
}
TOKEN = {
    "token": "3f9a1c0b7d2e4f58",
    "account": "acme",
    "role": "operator",
    "label": "billing",
    "made_by": "command line",
    "created_at": "2026-11-22T10:00:00Z",
    "expires_at": "2027-02-20T10:00:00Z",
    "revoked_at": None,
    "last_used_on": "2026-11-22",
}
NEW_TOKEN = {**TOKEN, "last_used_on": None, "secret": "layby_3f9a1c0b7d2e4f58_" + "x" * 43}

_REFUSED = {
    400: "The body was cut off.",
    401: "The token has expired. Ask an admin for a new one: layby token create",
    403: "This is for the role operator, and your token's is viewer. Ask an admin for a token of "
    "that role.",
    404: "There is no such command. If you sent it and had no answer, send it again with the same "
    "id.",
    408: "The body did not come within 30 seconds; nothing was accepted. Send it again.",
    409: "Several accounts have a command of this id: give `account`.",
    413: "A request holds at most 1,000 commands, and this one has more; nothing was accepted. "
    "Send several.",
    415: "A command comes as Content-Type: application/json (one, or a list), or "
    "application/x-ndjson (one a line).",
    422: "customers: is missing.",
    503: "The database does not answer. Ask again in a moment.",
}

METRICS = """\
# HELP layby_sends_due Sends that are due and not started.
# TYPE layby_sends_due gauge
layby_sends_due{account="acme",channel="email"} 12.0
"""

Answers = dict[int | str, dict[str, Any]]


def answers(good: dict[int, tuple[str, Any]], *refused: int) -> Answers:
    """What an operation answers: each good status with words and an example, and its refusals."""
    told: Answers = {
        status: {"description": words, "content": {"application/json": {"example": example}}}
        for status, (words, example) in good.items()
    }
    return told | {status: _refusal(status) for status in refused}


def metrics_answers(example: str, *refused: int) -> Answers:
    """The same for what is plain text."""
    content = {"text/plain": {"schema": {"type": "string"}, "example": example}}
    told: Answers = {200: {"description": "Prometheus's text format.", "content": content}}
    return told | {status: _refusal(status) for status in refused}


def _refusal(status: int) -> dict[str, Any]:
    named = HTTPStatus(status)
    return {
        "description": named.phrase,
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": problem(named, _REFUSED[status]).model_dump(mode="json"),
            }
        },
    }
