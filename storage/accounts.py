"""Accounts, their plans and their clocks."""

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Connection, text

from domain.calendar import Holidays
from domain.commands import PutAccount
from domain.rules import Rules
from domain.zones import calendar_data
from storage.often import Often


class Account(NamedTuple):
    account: str
    name: str | None
    zone: str
    country: str | None
    language: str
    email_from: str | None
    sms_from: str | None
    test_now: datetime | None
    now: datetime
    """Business time: the database's clock, or the test account's own."""
    kept_rules: str
    """As JSON. Only who decides on a send reads them: a rule of a newer version must not keep the
    account's commands from an older one."""
    rules_version: int
    kept_holidays: str | None
    """As JSON."""

    @property
    def holidays(self) -> Holidays | None:
        """Its own calendar, for schedules without one."""
        return None if self.kept_holidays is None else _read_holidays(self.kept_holidays)

    @property
    def rules(self) -> Rules:
        return _read_rules(self.kept_rules)

    @property
    def clock(self) -> str:
        """By which clock its business time goes."""
        return "live" if self.test_now is None else "test"


_read_rules = lru_cache(maxsize=4096)(Rules.model_validate_json)
_read_holidays = lru_cache(maxsize=4096)(Holidays.model_validate_json)

_ACCOUNT = """
    SELECT account, name, zone, country, language, email_from, sms_from, test_now,
           coalesce(test_now, statement_timestamp()), CAST(rules AS text), rules_version,
           CAST(holidays AS text)
    FROM accounts WHERE account = :account
"""


_READ = Often(_ACCOUNT)


def read_account(connection: Connection, account: str) -> Account | None:
    """One account, and what time it is for it."""
    rows = _READ.rows(connection, {"account": account})
    return Account(*rows[0]) if rows else None


def first_accounts(connection: Connection, limit: int) -> list[str]:
    """The first accounts by name."""
    rows = connection.execute(
        text("SELECT account FROM accounts ORDER BY account LIMIT :limit"), {"limit": limit}
    )
    return [row.account for row in rows]


def database_now(connection: Connection) -> datetime:
    """Business time where no account is concerned."""
    now: datetime = connection.execute(text("SELECT statement_timestamp()")).scalar_one()
    return now


def lock_account(connection: Connection, account: str) -> Account | None:
    """The same, held against other set-up commands; hot tables' foreign keys still pass."""
    row = connection.execute(
        text(_ACCOUNT + "FOR NO KEY UPDATE"), {"account": account}
    ).one_or_none()
    return Account(*row) if row else None


def put_account(connection: Connection, put: PutAccount) -> None:
    """Create the account, or change what was given; a changed zone leaves plans to be made anew."""
    connection.execute(
        text(
            """
            INSERT INTO accounts AS a
                   (account, name, zone, country, language, email_from, sms_from, test_now, rules,
                    rules_version, holidays, calendar_data)
            VALUES (:account, :name, coalesce(:zone, 'UTC'), :country, coalesce(:language, 'en'),
                    :email_from, :sms_from, :test_clock,
                    coalesce(CAST(:rules AS jsonb), '{}'),
                    CASE WHEN CAST(:rules AS jsonb) IS NULL THEN 0 ELSE 1 END,
                    CAST(:holidays AS jsonb), :calendar_data)
            ON CONFLICT (account) DO UPDATE SET
                   name = coalesce(:name, a.name),
                   zone = coalesce(:zone, a.zone),
                   replan_after = CASE WHEN :zone <> a.zone
                                         OR CAST(:holidays AS jsonb) <> coalesce(a.holidays, 'null')
                                  THEN '' ELSE a.replan_after END,
                   holidays = coalesce(CAST(:holidays AS jsonb), a.holidays),
                   country = coalesce(:country, a.country),
                   language = coalesce(:language, a.language),
                   email_from = coalesce(:email_from, a.email_from),
                   sms_from = coalesce(:sms_from, a.sms_from),
                   test_now = coalesce(:test_clock, a.test_now),
                   rules = a.rules || coalesce(CAST(:rules AS jsonb), '{}'),
                   rules_version = a.rules_version + CAST(
                       a.rules || coalesce(CAST(:rules AS jsonb), '{}') <> a.rules AS int)
            """
        ),
        {
            **put.model_dump(
                include={
                    "account",
                    "name",
                    "zone",
                    "country",
                    "language",
                    "email_from",
                    "sms_from",
                    "test_clock",
                }
            ),
            "rules": None if put.rules is None else put.rules.as_kept(),
            "holidays": put.holidays.model_dump_json() if put.holidays is not None else None,
            "calendar_data": calendar_data(),
        },
    )


def put_plan(connection: Connection, put: PutAccount) -> None:
    """Set the plan's limits; a new account without any holds nobody until it is given some."""
    connection.execute(
        text(
            """
            INSERT INTO counters AS c (account, active_limit, directory_limit)
            VALUES (:account, coalesce(:active_limit, 0), coalesce(:directory_limit, 0))
            ON CONFLICT (account) DO UPDATE SET
                   active_limit = coalesce(:active_limit, c.active_limit),
                   directory_limit = coalesce(:directory_limit, c.directory_limit)
            """
        ),
        put.model_dump(include={"account", "active_limit", "directory_limit"}),
    )
