"""Facts as a person would say them, from what the journal keeps: no personal data.

Of a redacted customer it keeps neither references nor days.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ops.screen import counted

Data = Mapping[str, Any]


def in_words(event: str, data: Data) -> str | None:
    """What a journal entry of a fact says; None: it is of something else."""
    say = _SAID.get(event)
    if say is None:
        return None
    started = data.get("started", 0)
    after = f"; {counted(started, 'reminder')} had started already" if started else ""
    return say(data) + after


def _invoice(data: Data) -> str:
    which = f" {data['reference']}" if "reference" in data else ""
    return f"invoice{which} recorded" + _came_to(data, moved="moved by its due date")


def _payment(data: Data) -> str:
    part = "in full" if data["full"] else "in part"
    return f"paid {part}{_for(data)}" + _came_to(data)


def _promise(data: Data) -> str:
    by = f" by {data['until']}" if "until" in data else ""
    return f"promised to pay{by}{_for(data)}" + _came_to(data)


def _broken(data: Data) -> str:
    return f"the promise{_for(data)} was not kept, and holds nothing any more"


def _opened(data: Data) -> str:
    return f"disputes {data.get('reference', 'what is owed')}" + _came_to(data)


def _closed(data: Data) -> str:
    ended = "the customer is right" if data["outcome"] == "upheld" else "it is owed"
    return f"the dispute{_for(data)} is closed: {ended}" + _came_to(data)


def _interaction(data: Data) -> str:
    by = f" by {data['by']}" if "by" in data else ""
    if data["direction"] == "outbound":
        return f"contacted{by}{_for(data)}"
    return f"the customer got in touch{by}{_for(data)}; a person is to see to it" + _came_to(data)


def _note(data: Data) -> str:
    return f"a note was taken{_for(data)}"


_SAID: dict[str, Callable[[Data], str]] = {
    "invoice_recorded": _invoice,
    "payment_recorded": _payment,
    "promise_recorded": _promise,
    "promise_broken": _broken,
    "dispute_opened": _opened,
    "dispute_closed": _closed,
    "interaction_recorded": _interaction,
    "note_recorded": _note,
}


def _for(data: Data) -> str:
    return f" for {data['reference']}" if data.get("reference") else ""


def _came_to(data: Data, moved: str = "put off") -> str:
    """What a fact ended, moved or took out."""
    did = [
        f"{counted(data[key], noun)} {verb}"
        for key, noun, verb in (
            ("ended", "schedule", "ended"),
            ("moved", "schedule", moved),
            ("cancelled", "reminder", "taken out"),
        )
        if data.get(key)
    ]
    return f"; {', '.join(did)}" if did else ""
