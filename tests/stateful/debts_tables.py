"""What the tables and the plain planner say, in one form."""

from typing import Any

from harness import Layby
from stateful.plain.account import Account
from stateful.plain.run import Run
from stateful.plain.words import Word

RUNS = """
    SELECT e.enrolment, e.customer, e.schedule, e.version, e.reference, e.step,
           e.held IS NOT NULL, e.end_reason, p.planned_at, p.due_at, p.channel, p.fallback,
           r.send, r.channel, coalesce(p.attempts, r.attempts),
           ARRAY(SELECT jsonb_build_array(s.step, s.state, s.rule, s.send) FROM sends s
                 WHERE s.account = e.account AND s.enrolment = e.enrolment ORDER BY s.step)
    FROM enrolments e LEFT JOIN pending p USING (account, enrolment)
    LEFT JOIN started r USING (account, enrolment)
    WHERE e.account = :account ORDER BY e.enrolment
"""
PEOPLE = """
    SELECT c.customer, c.place, s.status, s.paused_at IS NOT NULL,
           ARRAY(SELECT jsonb_build_array(m.mark, m.reference, m.amount,
                                          extract(epoch FROM m.until)) FROM marks m
                 WHERE m.account = c.account AND m.slot = s.slot)
    FROM customers c LEFT JOIN slots s USING (account, customer) WHERE c.account = :account
"""
WORDS = "SELECT kind, aim, target, channel, schedule, customer FROM suppressions WHERE account = :a"


def runs(layby: Layby) -> dict[int, tuple[Any, ...]]:
    rows = layby.rows(RUNS, account=layby.account)
    return {row[0]: (*row[1:-1], [tuple(line) for line in row[-1]]) for row in rows}


def runs_plainly(keyed: dict[int, Run | None], account: Account) -> dict[int, tuple[Any, ...]]:
    return {
        enrolment: (
            *(account.whose(run).name, run.schedule, run.version, run.reference, run.number),
            *(run.held, run.end, run.pending, run.due, run.channel if run.pending else None),
            run.fallback if run.pending else None,
            *(run.send, run.channel if run.started else None),
            run.attempts if run.pending or run.started else None,
            sorted((line.step, line.state, line.rule, line.send) for line in run.ledger),
        )
        for enrolment, run in keyed.items()
        if run is not None
    }


def people(layby: Layby) -> dict[str, tuple[Any, ...]]:
    return {
        name: (place, status, paused, sorted(map(tuple, marks), key=str))
        for name, place, status, paused, marks in layby.rows(PEOPLE, account=layby.account)
    }


def people_plainly(account: Account) -> dict[str, tuple[Any, ...]]:
    return {
        name: (
            "active" if who.active else "archived",
            who.status if who.active else None,
            who.paused,
            sorted(
                (
                    (
                        mark.kind,
                        mark.reference,
                        None if mark.amount is None else float(mark.amount),
                        None if mark.until is None else mark.until.timestamp(),
                    )
                    for mark in who.marks
                ),
                key=str,
            ),
        )
        for name, who in account.customers.items()
    }


def words(layby: Layby, recipients: dict[str, str]) -> dict[Word, str | None]:
    """`recipients` by the hash that the tables know them by."""
    rows = layby.rows(WORDS, a=layby.account)
    return {
        Word(kind, aim, recipients.get(target, target), channel, schedule): beside
        for kind, aim, target, channel, schedule, beside in rows
    }


def differences(found: dict[Any, Any], expected: dict[Any, Any]) -> str:
    """What the tables say, and what the planner says, where they do not say the same."""
    return "\n".join(
        f"{key}: found {found.get(key)}, expected {expected.get(key)}"
        for key in found | expected
        if found.get(key, "nothing") != expected.get(key, "nothing")
    )
