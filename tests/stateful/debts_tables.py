"""What the tables and the plain planner say, in one form."""

from typing import Any, NamedTuple

from harness import Layby
from sqlalchemy import Connection, text
from stateful.plain.account import Account
from stateful.plain.run import Line, PutOff, Run
from stateful.plain.words import Word

RUNS = """
    SELECT e.enrolment, e.customer, e.schedule, e.version, e.reference, e.step,
           e.held IS NOT NULL, e.end_reason, p.planned_at, p.due_at, p.deferred, p.channel,
           p.fallback, r.send, r.channel, coalesce(p.attempts, r.attempts),
           ARRAY(SELECT jsonb_build_array(d.step, d.rule, d.times, extract(epoch FROM d.first_at),
                                          extract(epoch FROM d.last_at),
                                          extract(epoch FROM d.until)) FROM deferrals d
                 WHERE d.account = e.account AND d.enrolment = e.enrolment
                 ORDER BY d.step, d.rule),
           ARRAY(SELECT jsonb_build_array(s.step, s.state, s.rule, s.send,
                                          CASE WHEN s.send IS NOT NULL THEN s.channel END)
                 FROM sends s
                 WHERE s.account = e.account AND s.enrolment = e.enrolment ORDER BY s.step)
    FROM enrolments e LEFT JOIN pending p USING (account, enrolment)
    LEFT JOIN started r USING (account, enrolment)
    WHERE e.account = :account ORDER BY e.enrolment
"""
PEOPLE = """
    SELECT c.customer, c.place, c.zone, s.status, s.paused_at IS NOT NULL,
           ARRAY(SELECT jsonb_build_array(m.mark, m.reference, m.amount,
                                          extract(epoch FROM m.until)) FROM marks m
                 WHERE m.account = c.account AND m.slot = s.slot)
    FROM customers c LEFT JOIN slots s USING (account, customer) WHERE c.account = :account
"""
WORDS = """
    SELECT kind, aim, target, channel, schedule, customer FROM suppressions
    WHERE account = :account
"""


class Told(NamedTuple):
    """By enrolment, by customer, by word."""

    runs: dict[int, tuple[Any, ...]]
    people: dict[str, tuple[Any, ...]]
    words: dict[Word, str | None]


def read(connection: Connection, account: str, recipients: dict[str, str]) -> Told:
    """`recipients` by the hash that the tables know them by."""
    runs, people, words = (
        connection.execute(text(sql), {"account": account}).all() for sql in (RUNS, PEOPLE, WORDS)
    )
    return Told(
        {
            row[0]: (*row[1:-2], *([tuple(one) for one in told] for told in row[-2:]))
            for row in runs
        },
        {name: (*rest, sorted(map(tuple, marks), key=str)) for name, *rest, marks in people},
        {
            Word(kind, aim, recipients.get(target, target), channel, schedule): beside
            for kind, aim, target, channel, schedule, beside in words
        },
    )


def said_plainly(keyed: dict[int, Run | None], account: Account) -> Told:
    return Told(_runs(keyed, account), _people(account), account.words.said)


def enrolments(layby: Layby, account: str) -> list[tuple[str, int]]:
    """Whose each is."""
    sql = "SELECT customer, enrolment FROM enrolments WHERE account = :a"
    return [(name, enrolment) for name, enrolment in layby.rows(sql, a=account)]


def _runs(keyed: dict[int, Run | None], account: Account) -> dict[int, tuple[Any, ...]]:
    return {
        enrolment: (
            *(account.whose(run).name, run.schedule, run.version, run.reference, run.number),
            *(run.held, run.end, run.pending, run.due, run.deferred),
            *((run.channel, run.fallback) if run.pending else (None, None)),
            *(run.send, run.channel if run.started else None),
            run.attempts if run.pending or run.started else None,
            [_deferral(*key, put_off) for key, put_off in sorted(run.put_off.items())],
            sorted(_line(line) for line in run.ledger),
        )
        for enrolment, run in keyed.items()
        if run is not None
    }


def _deferral(step: int, rule: str, put_off: PutOff) -> tuple[Any, ...]:
    moments = (put_off.first, put_off.last, put_off.until)
    return (step, rule, put_off.times, *(at.timestamp() for at in moments))


def _line(line: Line) -> tuple[Any, ...]:
    channel = line.channel if line.send is not None else None
    return (line.step, line.state, line.rule, line.send, channel)


def _people(account: Account) -> dict[str, tuple[Any, ...]]:
    return {
        name: (
            "active" if who.active else "archived",
            who.where.zone,
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


def differences(found: Any, expected: Any) -> str:
    """What the tables say, and what the planner says, where they do not say the same."""
    return "\n".join(
        f"{key}: found {found.get(key)}, expected {expected.get(key)}"
        for key in found | expected
        if found.get(key, "nothing") != expected.get(key, "nothing")
    )
