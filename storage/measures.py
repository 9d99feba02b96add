"""What is measured of the queues, read where they are. One statement for each kind of thing."""

from typing import NamedTuple

from sqlalchemy import Connection, text


class QueueMeasure(NamedTuple):
    """One account's channel."""

    account: str
    channel: str
    due: int
    later: int
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


def limit_statements(connection: Connection, seconds: float) -> None:
    """End a statement of this transaction that takes longer: whoever measures must not load."""
    connection.execute(
        text("SELECT set_config('statement_timeout', :limit, true)"),
        {"limit": f"{int(seconds * 1000)}ms"},
    )


def queues(connection: Connection) -> list[QueueMeasure]:
    """Pending and started sends by account and channel; ages in business time."""
    rows = connection.execute(
        text(
            """
            SELECT account, channel, coalesce(sum(due), 0), coalesce(sum(later), 0),
                   coalesce(sum(started), 0), CAST(coalesce(max(age), 0) AS float8)
            FROM (
                SELECT p.account, p.channel,
                       count(*) FILTER (WHERE p.due_at <= clock.now) AS due,
                       count(*) FILTER (WHERE p.due_at > clock.now) AS later, 0 AS started,
                       greatest(0, extract(epoch FROM max(clock.now - p.due_at))) AS age
                FROM (SELECT account, channel, due_at FROM pending) AS p
                JOIN (SELECT account, coalesce(test_now, statement_timestamp()) AS now
                      FROM accounts) AS clock USING (account)
                GROUP BY p.account, p.channel
                UNION ALL
                SELECT account, channel, 0, 0, count(*), 0 FROM started GROUP BY account, channel
            ) AS parts GROUP BY account, channel
            """
        )
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
            "SELECT account, channel, count(*) FROM sends "
            "WHERE state = 'unknown' AND state IN ('unknown', 'failed') GROUP BY account, channel"
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
