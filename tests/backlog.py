"""Many active customers with a send due, made by a few statements instead of commands."""

from datetime import datetime, timedelta

from harness import START, Layby
from sqlalchemy import text

from storage.database import Engine

_STATEMENT = """
    WITH people AS (
        INSERT INTO customers (account, customer, place, name, email, phone)
        SELECT :account, :prefix || '-' || n, 'active', 'B', :account || '@example.org',
               '+33612345678'
        FROM generate_series(1, :number) AS n RETURNING account, customer
    ), held AS (
        INSERT INTO slots (account, customer, activated_at)
        SELECT account, customer, :at FROM people RETURNING account, customer, slot
    ), live AS (
        INSERT INTO enrolments (account, customer, slot, schedule, version, anchor_at)
        SELECT account, customer, slot, :schedule, 1, :at FROM held
        RETURNING account, enrolment, slot, customer
    ), planned AS (
        INSERT INTO pending (account, enrolment, slot, customer, step, channel, planned_at, due_at)
        SELECT account, enrolment, slot, customer, 0, :channel, moment, moment
        FROM live, LATERAL (SELECT CAST(:at AS timestamptz)
            + CAST(split_part(customer, '-', 2) AS int) * interval '1 microsecond' AS moment) m
    )
    UPDATE counters SET active = active + :number, active_limit = active_limit + :number
    WHERE account = :account
"""


def make_due(
    engine: Engine,
    account: str,
    number: int,
    *,
    prefix: str = "b",
    schedule: str = "dunning",
    channel: str = "email",
    at: datetime = START - timedelta(minutes=1),
) -> None:
    """Customers `prefix-1`, `prefix-2`, …, each with the first send of a schedule due, in order."""
    with engine.begin() as connection:
        connection.execute(
            text(_STATEMENT),
            {
                "account": account,
                "number": number,
                "prefix": prefix,
                "schedule": schedule,
                "channel": channel,
                "at": at,
            },
        )


def another_account(layby: Layby, account: str) -> None:
    """Set up an account beside the test's own, which stays the one that commands go to.

    It has the schedule `dunning`, and one by sms, `texting`.
    """
    own, layby.account = layby.account, account
    layby.set_up()
    step = {"offset": "PT0S", "channel": "sms", "template": "nudge"}
    texting = {"anchor": "assigned_at", "steps": [step]}
    layby.must("put_schedule", schedule="texting", definition=texting)
    layby.account = own


def a_thousand_accounts(layby: Layby) -> None:
    """`account-0000` to `account-0999`, with one send due each."""
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            """
            CREATE TEMP TABLE named ON COMMIT DROP AS
                SELECT 'account-' || lpad(CAST(n AS text), 4, '0') AS account
                FROM generate_series(0, 999) AS n;
            INSERT INTO accounts (account) SELECT account FROM named;
            INSERT INTO counters (account, active, active_limit, directory_limit)
                SELECT account, 1, 1, 1 FROM named;
            INSERT INTO customers (account, customer, place)
                SELECT account, 'c', 'active' FROM named;
            INSERT INTO slots (account, customer, activated_at)
                SELECT account, 'c', now() FROM named;
            INSERT INTO schedule_versions (account, schedule, version, definition)
                SELECT account, 's', 1, '{}' FROM named;
            INSERT INTO enrolments (account, customer, slot, schedule, version, anchor_at)
                SELECT account, 'c', slot, 's', 1, now() FROM slots;
            INSERT INTO pending (account, enrolment, slot, customer, step, channel, planned_at,
                                 due_at)
                SELECT account, enrolment, slot, 'c', 0, 'email', now(), now() FROM enrolments
            """
        )


def make_past(engine: Engine) -> None:
    """For each customer a send that failed long ago and an old command; of a few no word.

    Beside them many accounts with one such send: by the statistics, any account has as few.
    """
    with engine.begin() as connection:
        connection.exec_driver_sql(_PAST)


_PAST = """
    INSERT INTO sends (account, enrolment, step, customer, channel, state, rule, planned_at,
                       business_at, settled_at, token)
    SELECT account, enrolment, settled.step, customer, 'email', state, '', moment, moment, moment,
           gen_random_uuid()
    FROM enrolments, (VALUES (0, 'failed'), (1, 'unknown')) AS settled (step, state),
         LATERAL (SELECT now() - interval '100 days' + enrolment * interval '1 second' AS moment) m
    WHERE state = 'failed' OR mod(enrolment, 100) = 0
    UNION ALL
    SELECT 'other-' || n, 0, 0, '', 'email', 'failed', '', moment, moment, moment, NULL
    FROM generate_series(1, 1000) AS n, (SELECT now() - interval '100 days' AS moment) m;

    INSERT INTO commands (account, command, kind, digest, door, state, done_at)
    SELECT account, 'old ' || customer, 'pause', '', 'test', 'applied', now() FROM customers;

    ANALYZE
"""
