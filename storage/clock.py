"""Whether the database's clock has leapt ahead: by it nothing may be taken for old for a while.

Two rows of `leases`: when the clock was last looked at, and until when it is not trusted. A clock
that is wrong for years (a machine without a battery, a wrong date set by hand) is found and set
right within days; what was pruned by it is gone.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, text

LEAP = timedelta(days=1)
"""Further than this between two looks it has leapt, or nobody looked for so long."""

_DISTRUSTED = timedelta(days=7)

_SEEN, _LEAPT = "clock_seen", "clock_leapt"


def look(connection: Connection) -> datetime | None:
    """Note what the clock shows; returns until when it is not trusted, if it is not."""
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    seen = _read(connection, _SEEN)
    _write(connection, _SEEN, now)
    if seen is not None and now - seen > LEAP:
        _write(connection, _LEAPT, now + _DISTRUSTED)
    elif seen is not None and seen - now > LEAP:
        # Set right again.
        connection.execute(text("DELETE FROM leases WHERE name = :name"), {"name": _LEAPT})
    return distrusted_until(connection)


def distrusted_until(connection: Connection) -> datetime | None:
    """Until when nothing is taken for old by this clock; None: it is trusted."""
    until: datetime | None = connection.execute(
        text("SELECT until FROM leases WHERE name = :name AND until > clock_timestamp()"),
        {"name": _LEAPT},
    ).scalar_one_or_none()
    return until


def distrusted(until: datetime) -> str:
    """Say why nothing is pruned, and what to do."""
    return (
        "the database's clock went ahead by more than a day since it was last looked at: it is "
        "wrong, or no scheduler ran. If it is wrong, set it right: nothing is lost so far. "
        f"Else wait: from {until:%Y-%m-%d %H:%M} UTC, by that clock, what is old is pruned again"
    )


def _read(connection: Connection, name: str) -> datetime | None:
    moment: datetime | None = connection.execute(
        text("SELECT until FROM leases WHERE name = :name"), {"name": name}
    ).scalar_one_or_none()
    return moment


def _write(connection: Connection, name: str, moment: datetime) -> None:
    connection.execute(
        text(
            "INSERT INTO leases (name, holder, until) VALUES (:name, 'clock', :moment) "
            "ON CONFLICT (name) DO UPDATE SET until = excluded.until"
        ),
        {"name": name, "moment": moment},
    )
