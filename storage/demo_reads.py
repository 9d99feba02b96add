"""What `layby demo` watches and counts, beside the reports that everyone has."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text


class Standing(NamedTuple):
    """How far the engine is with one account."""

    taken_in: int
    waiting: int
    due: int
    started: int

    def at_rest(self, published: int) -> bool:
        """Whether all that was published is applied, and all that is due is settled."""
        return self.taken_in >= published and not (self.waiting or self.due or self.started)


class Coming(NamedTuple):
    """A pending send."""

    due_at: datetime
    customer: str
    channel: str


class Tally(NamedTuple):
    """How many sends of a channel ended in a state by a rule."""

    channel: str
    state: str
    rule: str
    sends: int


class Silence(NamedTuple):
    """One customer's line of a command that silenced. `ended_at`: reactivated or resumed."""

    kind: str
    customer: str
    cancelled: int
    started: int
    quiet_at: datetime | None
    ended_at: datetime | None


class Raced(NamedTuple):
    """What became of a send, for comparing with the moment at which its customer was moved."""

    customer: str
    state: str
    planned_at: datetime
    business_at: datetime
    settled_at: datetime


def standing(connection: Connection, account: str) -> Standing:
    """Commands taken in and not applied yet, sends due and in progress."""
    row = connection.execute(
        text(
            """
            SELECT (SELECT count(*) FROM commands WHERE account = :account),
                   (SELECT count(*) FROM commands WHERE account = :account AND state = 'accepted'),
                   (SELECT count(*) FROM pending p JOIN accounts a USING (account)
                    WHERE p.account = :account AND p.due_at <= a.test_now),
                   (SELECT count(*) FROM started WHERE account = :account)
            """
        ),
        {"account": account},
    ).one()
    return Standing(*row)


def coming(connection: Connection, account: str) -> list[Coming]:
    """All that is pending, in time order."""
    rows = connection.execute(
        text(
            "SELECT due_at, customer, channel FROM pending WHERE account = :account "
            "ORDER BY due_at, customer"
        ),
        {"account": account},
    )
    return [Coming(*row) for row in rows]


def tallies(connection: Connection, account: str) -> list[Tally]:
    """The ledger in a few lines."""
    rows = connection.execute(
        text(
            "SELECT channel, state, rule, count(*) FROM sends WHERE account = :account "
            "GROUP BY channel, state, rule ORDER BY channel, state, rule"
        ),
        {"account": account},
    )
    return [Tally(*row) for row in rows]


def silences(connection: Connection, account: str) -> list[Silence]:
    """Every customer that a command silenced, when it was quiet, and until when it had to be."""
    rows = connection.execute(
        text(
            """
            SELECT c.kind, t.customer, t.cancelled, cardinality(t.open), t.quiet_at,
                   (SELECT min(later.received_at)
                    FROM command_targets again JOIN commands later USING (account, seq)
                    WHERE again.account = t.account AND again.customer = t.customer
                      AND again.seq > t.seq AND again.state = 'applied'
                      AND later.kind IN ('reactivate', 'resume'))
            FROM command_targets t JOIN commands c USING (account, seq)
            WHERE t.account = :account AND t.open IS NOT NULL ORDER BY t.seq, t.customer
            """
        ),
        {"account": account},
    )
    return [Silence(*row) for row in rows]


def sends_of(connection: Connection, account: str, customers: list[str]) -> list[Raced]:
    """The ledger of some customers."""
    rows = connection.execute(
        text(
            "SELECT customer, state, planned_at, business_at, settled_at FROM sends "
            "WHERE account = :account AND customer = ANY(CAST(:customers AS text[])) "
            "ORDER BY settled_at"
        ),
        {"account": account, "customers": customers},
    )
    return [Raced(*row) for row in rows]


def clock(connection: Connection) -> datetime:
    """What time it is on the database's machine."""
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now
