"""What the tables say, in the model's words."""

from collections import defaultdict
from typing import Any

from stateful.journey.crashes import Crashes
from stateful.journey.model import Model
from stateful.journey.parts import Line, Run, Said

BYSTANDER = "bystander"
OTHERS = " UNION ALL ".join(
    f"SELECT '{table}', CAST(t AS text) FROM {table} t WHERE account = '{BYSTANDER}' "
    "OR (account = :account AND customer <> ALL(CAST(:names AS text[])))"
    for table in (
        *("customers", "slots", "enrolments", "pending", "started", "sends", "facts"),
        *("command_targets", "journal"),
    )
)
"""All rows that belong to a customer, but for those named."""


class Tables(Crashes):
    """Reads one account's, whole."""

    account: str
    model: Model

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        narrowed = f"SELECT * FROM ({sql.replace('SELECT ', 'SELECT account, ', 1)}) AS all_of_them"
        return [
            row[1:]
            for row in self.layby.rows(narrowed + " WHERE account = :account", account=self.account)
        ]

    def rows_of_others(self, names: set[str]) -> set[tuple[Any, ...]]:
        """Of the account's other customers, and of one of the same name in another account."""
        return set(self.layby.rows(OTHERS, account=self.account, names=sorted(names)))

    def people(self) -> dict[str, tuple[Any, ...]]:
        rows = self.rows(
            "SELECT customer, place, paused_at IS NOT NULL AS paused, kept, zone "
            "FROM customers LEFT JOIN (SELECT account, customer, paused_at FROM slots) AS s "
            "USING (account, customer)"
        )
        return {name: tuple(rest) for name, *rest in rows}

    def said(self) -> dict[Said, str | None]:
        rows = self.rows("SELECT kind, aim, channel, target, customer FROM suppressions")
        return {
            Said(kind, aim, target if aim == "customer" else None, channel): beside
            for kind, aim, channel, target, beside in rows
        }

    def keyed(self) -> list[tuple[tuple[str, str, str, int], Run]]:
        nth: dict[tuple[str, str, str], int] = defaultdict(int)
        keyed = []
        for run in self.model.runs:
            key = (run.customer, run.schedule, run.reference)
            keyed.append(((*key, nth[key]), run))
            nth[key] += 1
        return keyed

    def runs(self) -> tuple[dict[tuple[str, str, str, int], tuple[Any, ...]], dict[int, Any]]:
        nth: dict[tuple[str, str, str], int] = defaultdict(int)
        runs, keys = {}, {}
        for enrolment, customer, schedule, reference, *rest in sorted(
            self.rows(
                "SELECT enrolment, e.customer, e.schedule, e.reference, e.version, e.step, "
                "held IS NOT NULL AS is_held, end_reason, send, "
                "p.planned_at, p.due_at, p.attempts, p.deferred "
                "FROM enrolments e LEFT JOIN pending p USING (account, enrolment) "
                "LEFT JOIN (SELECT account, enrolment, send FROM started) AS s "
                "USING (account, enrolment)"
            )
        ):
            key = (customer, schedule, reference)
            runs[*key, nth[key]] = tuple(rest)
            keys[enrolment] = (*key, nth[key])
            nth[key] += 1
        return runs, keys

    def ledger(self, keys: dict[int, Any]) -> dict[tuple[Any, int], tuple[str, str, int | None]]:
        return {
            (keys[enrolment], step): (state, rule, send)
            for enrolment, step, state, rule, send in self.rows(
                "SELECT enrolment, step, state, rule, send FROM sends"
            )
        }

    def lines(self) -> dict[tuple[str, str], tuple[Line, bool]]:
        rows = self.rows(
            "SELECT command, customer, t.state, cancelled, open, quiet_at IS NOT NULL AS quiet "
            "FROM command_targets t JOIN commands c USING (account, seq)"
        )
        return {
            (command, customer): (
                Line(state, cancelled, None if opened is None else frozenset(opened)),
                quiet,
            )
            for command, customer, state, cancelled, opened, quiet in rows
            if state != "waiting"
        }


def told_of(run: Run) -> tuple[Any, ...]:
    plan: tuple[Any, ...] = (None, None, None, None)
    if run.where == "pending":
        plan = (run.planned_at, run.due_at, run.attempts, run.deferred)
    return (run.version, run.step, run.held, run.ended, run.send, *plan)
