"""One customer's story, short: the reminders, the move, and how it fell quiet."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ops.demo.findings import Example

Line = tuple[str, str]
_IN_PROGRESS = ", in progress at the move"


def told(example: Example) -> Iterator[Line]:
    """What happened by the customer's calendar, then the race by the machine's clock."""
    moved = False
    for row in example.past:
        words = _words(row["event"], row["data"], row["reason"])
        if words:
            yield f"  {row['business_at']:%d %b %H:%M}", words + _IN_PROGRESS * moved
        moved = moved or row["event"] == "customer_moved"
    yield from _race(example)


def _words(event: str, data: dict[str, Any], reason: str | None) -> str | None:
    if event.startswith("send_"):
        why = "" if data["rule"] == "accepted" else f" ({data['rule']})"
        step = f"step {data['step']} by {data['channel']}"
        return f"{step}: {event.removeprefix('send_')}{why}"
    if event == "customer_moved":
        return f"moved to the directory: {reason}"
    if event == "schedule_assigned":
        return f"put on the schedule {data['schedule']}"
    return None


def _race(example: Example) -> Iterator[Line]:
    moved = next(row["recorded_at"] for row in example.past if row["event"] == "customer_moved")
    yield _clock(moved), "on the machine's clock: the move is written"
    for row in example.past:
        if row["event"] == "send_sent" and row["recorded_at"] > moved:
            yield (
                _clock(row["recorded_at"]),
                f"the send in progress is settled ({_after(row, moved)})",
            )
    quiet_at = example.move.quiet_at
    if quiet_at is not None:
        yield _clock(quiet_at), "quiet: nothing is in progress, and nothing can start"


def _after(row: dict[str, Any], moved: datetime) -> str:
    return f"{(row['recorded_at'] - moved).total_seconds() * 1000:.0f} ms later"


def _clock(at: datetime) -> str:
    return f"  {at:%H:%M:%S}.{at.microsecond // 1000:03d}"
