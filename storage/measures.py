"""What is measured of the queues, read where they are. One statement for each kind of thing.

A scrape comes every few seconds, so none of it reads all that is pending, or the past.
"""

from typing import NamedTuple

from sqlalchemy import Connection, text

from domain.message import Channel


class QueueMeasure(NamedTuple):
    """One account's channel."""

    account: str
    channel: str
    due: int
    next_hour: int
    started: int
    oldest_seconds: float


class InboxMeasure(NamedTuple):
    """One account's commands."""

    account: str
    waiting: int
    oldest_seconds: float


class AccountCount(NamedTuple):
    account: str
    channel: str
    number: int


class Measured(NamedTuple):
    """All of it."""

    queues: list[QueueMeasure]
    inbox: list[InboxMeasure]
    unknown: list[AccountCount]
    quarantined: int


def measure_lightly(connection: Connection, seconds: float) -> None:
    """Whoever measures must not load: in this transaction no statement takes longer than that.

    And each goes by an index. Of an account's clock the planner knows nothing: it guesses that a
    third of all is due, and reads all that is pending for it.
    """
    connection.execute(
        text(
            "SELECT set_config('statement_timeout', :limit, true), "
            "set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)"
        ),
        {"limit": f"{int(seconds * 1000)}ms"},
    )


def queues(connection: Connection) -> list[QueueMeasure]:
    """Sends due, due within an hour, and started, by account and channel; all in business time.

    What comes later than that stands there in any number, and is not counted.
    """
    rows = connection.execute(
        text(
            """
            SELECT account, channel, p.due, p.next_hour, coalesce(s.started, 0),
                   CAST(greatest(0, extract(epoch FROM now - p.oldest)) AS float8)
            FROM (SELECT account, coalesce(test_now, statement_timestamp()) AS now
                  FROM accounts) AS a
            CROSS JOIN unnest(CAST(:channels AS text[])) AS c (channel)
            CROSS JOIN LATERAL (
                SELECT count(*) FILTER (WHERE due_at <= a.now) AS due,
                       count(*) FILTER (WHERE due_at > a.now) AS next_hour, min(due_at) AS oldest
                FROM pending
                WHERE account = a.account AND channel = c.channel
                  AND due_at <= a.now + interval '1 hour') p
            LEFT JOIN (SELECT account, channel, count(*) AS started
                       FROM started GROUP BY account, channel) s USING (account, channel)
            """
        ),
        {"channels": list(Channel)},
    )
    return [QueueMeasure(*row) for row in rows]


def inbox(connection: Connection) -> list[InboxMeasure]:
    """Commands accepted and not applied yet, by account."""
    rows = connection.execute(
        text(
            "SELECT account, count(*), extract(epoch FROM clock_timestamp() - min(received_at)) "
            "FROM commands WHERE state = 'accepted' GROUP BY account"
        )
    )
    return [InboxMeasure(account, count, max(0.0, float(age))) for account, count, age in rows]


def unknown(connection: Connection) -> list[AccountCount]:
    """Sends of which there is no word, by account and channel."""
    rows = connection.execute(
        text(
            "SELECT account, channel, count(*) FROM sends WHERE state = 'unknown' "
            "GROUP BY account, channel"
        )
    )
    return [AccountCount(*row) for row in rows]


def quarantined(connection: Connection) -> int:
    """Commands that could not be read; many name no account."""
    return int(
        connection.execute(
            text("SELECT count(*) FROM commands WHERE state = 'quarantined'")
        ).scalar_one()
    )
