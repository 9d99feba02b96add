"""Leases: of all schedulers that run, one does each tick."""

from sqlalchemy import Connection, text


def hold_lease(connection: Connection, name: str, holder: str, seconds: float) -> bool:
    """Take a lease, or go on holding it; False: another holder has it.

    The work behind a lease is safe to do twice, so a clock set forward costs work and nothing else.
    One that ends later than any can was given before the clock was set back: it is over.
    """
    return (
        connection.execute(
            text(
                """
                INSERT INTO leases AS l (name, holder, until)
                VALUES (:name, :holder, clock_timestamp() + make_interval(secs => :seconds))
                ON CONFLICT (name) DO UPDATE SET holder = :holder, until = excluded.until
                WHERE l.holder = :holder OR l.until < clock_timestamp()
                   OR l.until > excluded.until + make_interval(secs => :seconds)
                RETURNING name
                """
            ),
            {"name": name, "holder": holder, "seconds": seconds},
        ).one_or_none()
        is not None
    )


def release_leases(connection: Connection, holder: str) -> None:
    """Give all leases of a scheduler that stops to the others at once."""
    connection.execute(text("DELETE FROM leases WHERE holder = :holder"), {"holder": holder})
