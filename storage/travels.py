"""A test account's clock on its way: where it has to stop, and what happened until then."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from storage.reports import Rows
from storage.switches import sends_run


class Standing(NamedTuple):
    """What is still to be done at the moment that it is for an account."""

    commands: int
    due: int
    started: int
    promises: int
    """That are broken, and not yet seen to be."""

    @property
    def at_rest(self) -> bool:
        return not any(self)


_RUNS = sends_run("p")
"""A condition on what is pending: what is paused stays where it is."""


def standing(connection: Connection, account: str) -> Standing:
    """Commands not applied yet, sends that are due (but for what is paused) and in progress."""
    row = connection.execute(
        text(
            f"""
            SELECT (SELECT count(*) FROM commands WHERE account = :account AND state = 'accepted'),
                   (SELECT count(*) FROM pending p JOIN accounts a USING (account)
                    WHERE p.account = :account AND p.due_at <= a.test_now AND {_RUNS}),
                   (SELECT count(*) FROM started WHERE account = :account),
                   (SELECT count(*) FROM marks m JOIN slots s USING (account, slot)
                    JOIN accounts a USING (account)
                    WHERE m.account = :account AND m.until <= a.test_now)
            """
        ),
        {"account": account},
    ).one()
    return Standing(*row)


def next_moment(connection: Connection, account: str, after: datetime) -> datetime | None:
    """When something is due next, or a promise's day is over; None: nothing is."""
    found: datetime | None = connection.execute(
        text(
            f"""
            SELECT least(
                (SELECT min(p.due_at) FROM pending p
                 WHERE p.account = :account AND p.due_at > :after AND {_RUNS}),
                (SELECT min(m.until) FROM marks m JOIN slots s USING (account, slot)
                 WHERE m.account = :account AND m.until > :after))
            """
        ),
        {"account": account, "after": after},
    ).scalar_one()
    return found


def machine_now(connection: Connection) -> datetime:
    """What time it is on the database's machine."""
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now


def settled_since(connection: Connection, account: str, since: datetime) -> Rows:
    """What became of an account's sends from a moment on (of machine time), in business order."""
    rows = connection.execute(
        text(
            """
            SELECT s.business_at, s.customer, coalesce(c.zone, c.derived_zone, a.zone) AS zone,
                   e.schedule, e.version, e.reference, s.step + 1 AS step, s.channel, s.state,
                   s.rule, s.detail
            FROM sends s JOIN enrolments e USING (account, enrolment)
            JOIN accounts a USING (account)
            LEFT JOIN customers c ON c.account = s.account AND c.customer = s.customer
            WHERE s.account = :account AND s.settled_at >= :since
            ORDER BY s.business_at, s.customer, s.enrolment, s.step
            """
        ),
        {"account": account, "since": since},
    )
    return [dict[str, Any](row) for row in rows.mappings()]
