"""Every rule on, and none of them in the way: what the gate costs when it lets everything through.

Customers are where it is the middle of the day now, so that a collector may write to them.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from domain.zones import all_zones, zone_named

_MIDDAY = (10, 16)
"""Local hours; the others are too near to 08:00 or 21:00 for a long run."""


class Midday(NamedTuple):
    """Places where it is the middle of the day, a country for each."""

    zones: list[str]
    countries: list[str]


def midday() -> Midday:
    now = datetime.now(UTC)
    found = [
        (zone, country)
        for country, zone in all_zones()
        if _MIDDAY[0] <= now.astimezone(zone_named(zone)).hour < _MIDDAY[1]
    ]
    return Midday([zone for zone, _ in found], [country for _, country in found])


def every_rule() -> dict[str, Any]:
    """As `put_account` takes them. The quiet hours are the night of those places."""
    return {
        "collector": True,
        "stricter_law": True,
        "no_send_hours": {"from": "22:00", "until": "07:00"},
        "caps": [
            {"at_most": 1000, "in": "P7D"},
            {"at_most": 1000, "in": "P1D", "channel": "email"},
            {"at_most": 1000, "in": "P7D", "per": "debt"},
        ],
        "apart": True,
    }
