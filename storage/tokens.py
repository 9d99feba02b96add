"""Bearer tokens of the HTTP door: who they are for, what they allow, and until when.

Only a keyed hash of a token's secret is here: who reads this table can't use what it reads.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, text


class Token(NamedTuple):
    """A token as whoever manages tokens sees it."""

    account: str
    """Empty: of the whole installation."""
    token: str
    """Its public id."""
    role: str
    label: str
    made_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_on: datetime | None


class Known(NamedTuple):
    """What tells whether a token is good."""

    account: str
    role: str
    secret_hash: str
    expired: bool
    revoked: bool
    used_today: bool


_COLUMNS = "account, token, role, label, made_by, created_at, expires_at, revoked_at, last_used_on"


def add_token(
    connection: Connection,
    *,
    account: str,
    token: str,
    secret_hash: str,
    role: str,
    label: str,
    made_by: str,
    life: timedelta,
) -> Token:
    """Keep a new token."""
    row = connection.execute(
        text(
            f"""
            INSERT INTO tokens (account, token, secret_hash, role, label, made_by, expires_at)
            VALUES (:account, :token, :secret_hash, :role, :label, :made_by,
                    now() + CAST(:life AS interval))
            RETURNING {_COLUMNS}
            """
        ),
        {
            "account": account,
            "token": token,
            "secret_hash": secret_hash,
            "role": role,
            "label": label,
            "made_by": made_by,
            "life": life,
        },
    ).one()
    return Token(*row)


def find_token(connection: Connection, token: str) -> Known | None:
    """The token of this public id."""
    row = connection.execute(
        text(
            """
            SELECT account, role, secret_hash, expires_at <= now(), revoked_at IS NOT NULL,
                   coalesce(last_used_on = current_date, false)
            FROM tokens WHERE token = :token
            """
        ),
        {"token": token},
    ).one_or_none()
    return Known(*row) if row else None


def mark_used(connection: Connection, account: str, token: str) -> None:
    """Remember the day; once a day, so that reading does not write."""
    connection.execute(
        text(
            "UPDATE tokens SET last_used_on = current_date WHERE account = :account "
            "AND token = :token AND last_used_on IS DISTINCT FROM current_date"
        ),
        {"account": account, "token": token},
    )


def list_tokens(connection: Connection, account: str | None) -> list[Token]:
    """Tokens of one account, or (None) all, the newest first."""
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM tokens "
            "WHERE CAST(:account AS text) IS NULL OR account = :account "
            "ORDER BY created_at DESC, token"
        ),
        {"account": account},
    )
    return [Token(*row) for row in rows]


def revoke_token(connection: Connection, account: str | None, token: str) -> bool:
    """End a token, as of now and for good; False: there is no such one (in this account)."""
    return (
        connection.execute(
            text(
                "UPDATE tokens SET revoked_at = coalesce(revoked_at, now()) WHERE token = :token "
                "AND (CAST(:account AS text) IS NULL OR account = :account)"
            ),
            {"account": account, "token": token},
        ).rowcount
        == 1
    )
