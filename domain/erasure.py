"""What records keep of a person who is erased: what is named here, and nothing else.

A field that is new is personal, and goes, until somebody says here that it is not.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from domain.journey import Kind

ERASED = "erased"
"""In a command's body: its content is gone. Also the code of what can't be replayed any more."""

KEPT_WHOLE = frozenset({Kind.REDACT, Kind.PURGE})
"""Who asked for it and why is the proof that it was done."""

OF_AN_ENTRY = frozenset(
    {
        *("place", "fields", "schedule", "version", "from_versions", "moved", "retimed", "ended"),
        *("cancelled", "started", "channels", "full", "outcome", "direction", "hold", "because"),
    }
)
"""Of the journal: what was done, not what was said. No references, days, consents or words."""

REFUSED_FOR = frozenset(
    {
        *("unknown_customer", "unknown_account", "unknown_schedule", "already_exists"),
        *("wrong_place", "redacted", "kept", "superseded", "no_longer_matches", "not_all"),
        *("too_many", "active_limit", "directory_limit", "nothing_to_lift", "no_consent"),
        *("anchor", "other_anchor", "in_progress", ERASED),
    }
)
"""Codes of refusals that say no more than ids and names of schedules. Others name what was given,
such as a reference."""

_OF_A_COMMAND = frozenset(
    {
        *("id", "account", "kind", "customers", "issued_at", "all_or_none", "place", "if_full"),
        *("first_row", "schedule", "from_version", "channel", "hold", ERASED),
    }
)
_OF_ALL_ITS_CUSTOMERS = frozenset({"source", "reason"})


def of_body(body: Mapping[str, Any], *, alone: bool) -> dict[str, Any]:
    """A command's body without its content; `alone`: it was about this person and nobody else.

    >>> body = {"id": "c-1", "kind": "record", "fact": {"fact": "note"}, "source": "crm"}
    >>> of_body(body, alone=True)
    {'id': 'c-1', 'kind': 'record', 'erased': True}
    """
    kept = _OF_A_COMMAND if alone else _OF_A_COMMAND | _OF_ALL_ITS_CUSTOMERS
    return {**{name: value for name, value in body.items() if name in kept}, ERASED: True}


def of_text(raw: str, gone: Collection[str]) -> str | None:
    """What is left of a command that could not be read; None: it names none of these.

    Of several customers, those who are not gone keep it, for it may be replayed for them.
    """
    try:
        given = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    named = given.get("customers") if isinstance(given, dict) else None
    if not isinstance(named, list) or not any(one in gone for one in named if isinstance(one, str)):
        return None
    left = [one for one in named if not (isinstance(one, str) and one in gone)]
    if left:
        return json.dumps({**given, "customers": left}, ensure_ascii=False)
    known = {name: given[name] for name in ("id", "account") if isinstance(given.get(name), str)}
    return json.dumps({**known, ERASED: True}, ensure_ascii=False)
