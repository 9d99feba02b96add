"""Commands: accepted, resolved, rung for and applied, to the engine and to the model."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, time, timedelta
from functools import partial
from typing import Any

from concurrency.interleave import CrashedError, lost_acknowledgement
from concurrency.parts import answer, apply_for, started
from stateful.journey.parts import DEFINITIONS, Order, Told
from stateful.journey.sending import Sending
from stateful.plain.caps import Cap
from stateful.plain.rules import Rules

from domain.commands import BULK_FROM
from domain.message import Answer, Channel
from storage.database import DatabaseError
from workers.bulk import apply_bulk
from workers.lifecycle import apply_waiting
from workers.resolving import resolve, resolve_some

AT_ONCE = 2
"""Customers that the bulk worker resolves and applies in one transaction here."""

UNRESOLVED = "SELECT seq FROM commands WHERE bulk AND resolved_at IS NULL"

ISSUED = datetime.fromisoformat("2020-01-01T00:00:00+00:00")


class Commanding(Sending):
    """What upstream systems and the lifecycle workers do."""

    received: Iterator[int]
    plans: list[tuple[int, int]]

    def command(
        self,
        command: tuple[str, dict[str, Any]],
        customers: list[str],
        issued: int | None,
        *,
        at_once: bool,
        bulk: bool,
    ) -> None:
        """Accept a command, and apply it unless its bell is to ring later."""
        told = self.accept(*_for(command, customers, self.model.now), issued, bulk=bulk)
        if at_once:
            if told.bulk:
                self.resolve(None)
            self.apply(set(told.waiting))

    def do(
        self,
        kind: str,
        customers: list[str],
        fields: dict[str, Any],
        issued: int | None = None,
    ) -> None:
        self.apply(set(self.accept(kind, customers, fields, issued).waiting))

    def accept(
        self,
        kind: str,
        customers: list[str],
        fields: dict[str, Any],
        issued: int | None = None,
        *,
        bulk: bool = False,
    ) -> Told:
        """Lists of two and more are bulk where the test says so."""
        order: Order = (1, next(self.received)) if issued is None else (0, issued)
        extra = {} if issued is None else {"issued_at": ISSUED + timedelta(days=issued)}
        self.layby.bulk_from, bulk = (1, len(customers) > 1) if bulk else (BULK_FROM, False)
        command = self.layby.accept(kind, customers=customers, **fields, **extra)
        told = Told(command, kind, fields, order, list(customers), bulk=bulk, resolved=not bulk)
        told.listed = list(customers)
        self.model.accept(told)
        return told

    def apply(self, names: set[str]) -> None:
        """Apply what waits for these; every row of anybody else stays as it is."""
        before = self.rows_of_others(names)
        apply_for(self.layby, *names)
        self.model.apply(names)
        assert self.rows_of_others(names) == before

    def filter_(
        self, command: tuple[str, dict[str, Any]], asked: dict[str, str], *, at_once: bool
    ) -> None:
        kind, fields = command
        told = Told(
            self.layby.accept(kind, customers=asked, **fields),
            kind,
            fields,
            (1, next(self.received)),
            [],
            asked,
            bulk=True,
            resolved=False,
        )
        self.model.accept(told)
        if at_once:
            self.bulk_turn(None)

    def ring(self) -> None:
        """For all that waits in the account: set-up first, single commands, bulk ones."""
        apply_waiting(self.layby.engine, self.account)
        apply_bulk(self.layby.engine, self.account)
        self.all_applied()

    def ring_for_some(self, which: int, dies_at: int | None) -> None:
        names = self.some_waiting(which)
        with suppress(CrashedError):
            self.crashing(dies_at, lambda: apply_for(self.layby, *names))
            self.model.apply(names)

    def acknowledgement_is_lost(self, which: int) -> None:
        names = self.some_waiting(which)
        if not self.model.applies(names):
            return
        lost = lost_acknowledgement(self.layby.engine, "UPDATE command_targets t")
        with lost, suppress(DatabaseError):
            apply_for(self.layby, *names)
        self.model.apply(names)
        apply_for(self.layby, *names)

    def resolve(self, dies_at: int | None) -> None:
        """Lists and filters become targets, the oldest first."""
        seqs = sorted(self.rows(UNRESOLVED))
        self._resolving(dies_at, partial(self._resolve_all, seqs))
        assert dies_at is not None or self.model.unresolved is None

    def _resolve(self, seq: int) -> None:
        resolve(self.layby.engine, self.account, seq)

    def resolve_step(self) -> None:
        """One chunk of the oldest."""
        engine, account = self.layby.engine, self.account
        for (seq,) in sorted(self.rows(UNRESOLVED))[:1]:
            self._resolving(None, partial(resolve_some, engine, account, seq))

    def _resolve_all(self, seqs: list[tuple[Any, ...]]) -> None:
        for (seq,) in seqs:
            self._resolve(seq)

    def _resolving(self, dies_at: int | None, work: Callable[[], object]) -> None:
        for _ in range(self.dying(dies_at, work, "UPDATE commands SET resolved_to")):
            told = self.model.unresolved
            assert told is not None
            self.model.resolve_some(told, AT_ONCE)

    def bulk_turn(self, dies_at: int | None) -> None:
        """The bulk worker's turn, which it may not live to the end of: chunks are done or not."""
        if self.plans:
            self.ring()
            return
        self.resolve(None)
        chunks = self.model.chunks(AT_ONCE)
        applied = self.dying(
            dies_at, lambda: apply_bulk(self.layby.engine, self.account), "UPDATE command_targets t"
        )
        for chunk in chunks:
            if applied and self.model.applies(chunk):
                self.model.apply(chunk)
                applied -= 1
        assert not applied

    def put_plan(self, active: int, directory: int, *, at_once: bool) -> None:
        self.layby.accept("put_account", active_limit=active, directory_limit=directory)
        self.plans.append((active, directory))
        if at_once:
            self.ring()

    def put_schedule(self, schedule: str, variant: int) -> None:
        self.let_set_up_through()
        plan = DEFINITIONS[schedule][variant]
        self.layby.must("put_schedule", schedule=schedule, definition=plan.as_json())
        self.model.put_schedule(schedule, plan)
        self.all_applied()

    def put_rules(self, caps: tuple[Cap, ...], quiet: tuple[time, time] | None) -> None:
        """They hold from the next start on; tests/stateful/test_debts.py has all of the rules."""
        self.let_set_up_through()
        rules = Rules(caps, quiet, apart=False)
        self.layby.must("put_account", rules=rules.as_json())
        self.model.rules = rules
        self.all_applied()

    def travel(self, hours: float) -> None:
        self.let_set_up_through()
        self.layby.travel(timedelta(hours=hours))
        self.model.now = self.layby.now
        self.all_applied()

    def go_out(self, late_hours: int, with_: Answer | None) -> None:
        """What is due next, if anything is; else everybody begins anew, as far as that may be.

        All that is out is answered, or stays out.
        """
        due = [run.due_at for run in self.model.runs if run.due_at and run.where == "pending"]
        if not due:
            self.begin_anew()
        else:
            until = max(min(due) - self.model.now, timedelta()) + timedelta(hours=late_hours)
            self.travel(until / timedelta(hours=1))
        for channel in Channel:
            self.start(channel, None)
        if with_ is not None:
            opens = started(self.layby.engine, self.account)
            answer(self.layby.engine, opens, with_)
            self.settled(opens, with_)

    def begin_anew(self) -> None:
        everybody = sorted(self.model.people)
        for kind in ("activate", "reactivate", "resume"):
            self.do(kind, everybody, {})
        for reference in ("", "i-1"):
            run = {"schedule": "calls", "reference": reference}
            self.do("assign_schedule", everybody, run)

    def all_applied(self) -> None:
        model = self.model
        if "lifecycle" in model.paused:
            return
        for plan in self.plans:
            model.active_limit, model.directory_limit = plan
        self.plans.clear()
        model.apply(model.waiting_singly)
        while "bulk" not in model.paused and (told := model.unresolved):
            model.resolve_some(told, AT_ONCE)
        for chunk in model.chunks(AT_ONCE):
            model.apply(chunk)

    def some_waiting(self, which: int) -> set[str]:
        """Whom one of the waiting commands waits for; none, if none does."""
        reached = [{n for n in told.waiting if told.waits_for(n)} for told in self.model.told]
        waiting = [names for names in reached if names]
        return waiting[which % len(waiting)] if waiting else set()


def _for(
    command: tuple[str, dict[str, Any]], customers: list[str], now: datetime
) -> tuple[str, list[str], dict[str, Any]]:
    kind, fields = command
    if "due_date" in fields:
        day = now.date() + timedelta(days=fields["due_date"])
        fields = {**fields, "due_date": day}
    return kind, sorted(customers), fields
