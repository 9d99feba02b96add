"""The guarantees as questions to a database, busy or not. docs/audit.md lists them.

All are asked of one snapshot. The engine changes what belongs together in one transaction, so a
snapshot shows it before or after, never between: what is found is wrong, not in flight.
"""

from sqlalchemy import Connection, text

from storage.audit.consent import CONSENT
from storage.audit.duplicates import DUPLICATES
from storage.audit.explained import EXPLAINED
from storage.audit.facts import FACTS
from storage.audit.inbox import COMMANDS, OUTCOMES, ROWS
from storage.audit.lost import NOTHING_LOST
from storage.audit.model import Check, CheckResult, Violation
from storage.audit.places import BOOKKEEPING, COUNTERS, PLACES
from storage.audit.redaction import REDACTION
from storage.audit.schema import CONSTRAINTS, KEPT_BY, SCHEMA
from storage.audit.silence import SILENCE
from storage.audit.switches import SWITCHES

__all__ = ["CHECKS", "Check", "CheckResult", "Violation", "run_audit"]

CHECKS: tuple[Check, ...] = (
    *SILENCE,
    *CONSENT,
    *PLACES,
    *OUTCOMES,
    *SCHEMA,
    *DUPLICATES,
    *NOTHING_LOST,
    *COUNTERS,
    *COMMANDS,
    *BOOKKEEPING,
    *ROWS,
    *SWITCHES,
    *EXPLAINED,
    *FACTS,
    *REDACTION,
)

SHOWN_AT_MOST = 100
"""Violations of one check that are kept; the others are counted."""

_READ_AT_ONCE = 1000


def run_audit(connection: Connection, account: str | None = None) -> list[CheckResult]:
    """Ask every question, of one account or all; the connection has no transaction begun yet.

    The transaction that this begins is the caller's to end.
    """
    _begin_snapshot(connection)
    looked_at = {(check.over, check.among) for check in CHECKS}
    rows = {one: _count(connection, *one, account) for one in looked_at}
    return [_ask(connection, check, account, rows[check.over, check.among]) for check in CHECKS]


def _begin_snapshot(connection: Connection) -> None:
    # PostgreSQL refuses the first of these after any other statement: no wider snapshot by mistake.
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    for setting, value in (
        # Reading bodies between two statements takes longer than a worker may be idle.
        ("idle_in_transaction_session_timeout", "60s"),
        # Hash joins are linear, whatever is known of tables that nobody has analysed. Of those, a
        # merge by the account alone, of 500,000 rows with 250,000, did not end in nine minutes.
        ("enable_nestloop", "off"),
        ("enable_mergejoin", "off"),
        ("work_mem", "64MB"),
        # What is off is only dear, up to version 17, and what is dear would be compiled first.
        ("jit", "off"),
    ):
        connection.execute(text(f"SET LOCAL {setting} = '{value}'"))


def _count(connection: Connection, over: str, among: str, account: str | None) -> int:
    if over == CONSTRAINTS:
        return len(KEPT_BY)
    rows = _BY_ACCOUNT.get(over, over)
    found: int = connection.execute(
        text(f"SELECT count(*) FROM (SELECT * FROM {rows} WHERE {among}) r {_only(over, account)}"),
        {"account": account},
    ).scalar_one()
    return found


_BY_ACCOUNT = {
    "submissions": "(SELECT command->>'account' AS account FROM submissions) AS submissions"
}
"""Tables whose rows say elsewhere than in a column whose they are."""


def _only(over: str, account: str | None) -> str:
    return "" if account is None or over == CONSTRAINTS else "WHERE account = :account"


def _ask(connection: Connection, check: Check, account: str | None, checked: int) -> CheckResult:
    find = _found if check.judge is None else _judged
    found, violations = find(connection, check, account)
    return CheckResult(check, checked, found, tuple(violations))


def _found(
    connection: Connection, check: Check, account: str | None
) -> tuple[int, list[Violation]]:
    rows = connection.execute(
        text(
            f"SELECT account, customer, detail, count(*) OVER () AS found "
            f"FROM ({check.sql}) AS wrong {_only(check.over, account)} "
            "ORDER BY account, customer, detail LIMIT :limit"
        ),
        {"account": account, "limit": SHOWN_AT_MOST},
    ).all()
    return (rows[0].found if rows else 0), [Violation(*row[:3]) for row in rows]


def _judged(
    connection: Connection, check: Check, account: str | None
) -> tuple[int, list[Violation]]:
    """Read row by row: all commands would not fit into memory at once."""
    assert check.judge is not None, "asked for by the caller"
    found, violations = 0, []
    with connection.execute(
        text(f"SELECT * FROM ({check.sql}) AS judged {_only(check.over, account)}"),
        {"account": account},
        execution_options={"stream_results": True, "yield_per": _READ_AT_ONCE},
    ) as rows:
        for row in rows:
            detail = check.judge(row)
            if detail is not None:
                found += 1
                if found <= SHOWN_AT_MOST:
                    violations.append(Violation(row.account, row.customer, detail))
    return found, violations
