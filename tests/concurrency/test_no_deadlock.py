"""Random stress. It finds what nobody thought of, and proves nothing: the barriers do that.

Lists of customers in any order, by commands, starts, settles and rescues at once: the lock order
(customers, slots, enrolments, pending and started, counters) leaves no cycle to wait in.
"""

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from concurrency.interleave import Interleaving, errors_by_state
from concurrency.invariants import NOTHING_WAITS, broken
from concurrency.parts import answer, start, started
from harness import Layby, numbered

from domain.message import Answer, Channel
from domain.switch import CommandQueue, Scope, Switch, SwitchError
from scheduler.ticks import sweep
from storage import unapplied
from storage.audit import run_audit
from workers import bulk, resolving
from workers.bulk import apply_bulk
from workers.lifecycle import apply_set_up, apply_to, apply_waiting
from workers.switches import pause, paused, resume

THREADS = 8
CUSTOMERS = list(numbered("c", 40))
PER_COMMAND = 5
BULK_AT_ONCE = 5
"""Customers that the bulk worker resolves and applies in one transaction: lists are several."""
FILTERS: list[tuple[str, dict[str, Any]]] = [
    ("move_to_directory", {"customers": {"schedule": "dunning"}}),
    ("pause", {"customers": {"status": "on_track"}}),
    ("reactivate", {"customers": {"place": "archived"}}),
    ("activate", {"customers": {"place": "reserve"}}),
]
SWITCHES = [
    *(Switch(Scope.QUEUE, queue.value) for queue in CommandQueue),
    *(Switch(Scope.CHANNEL, "email"), Switch(Scope.CHANNEL, "sms", Layby.account)),
    *(Switch(Scope.TEMPLATE, "hello", Layby.account), Switch(Scope.ACCOUNT, *[Layby.account] * 2)),
]
DUE_AT_ONCE: dict[str, Any] = {
    "anchor": "assigned_at",
    "steps": [
        {"offset": "PT0S", "channel": channel, "template": template}
        for channel, template in [("email", "hello"), ("sms", "nudge")] * 50
    ],
}
"""So many steps that something is always due."""
LATER = {**DUE_AT_ONCE, "steps": DUE_AT_ONCE["steps"][1:]}
KINDS: list[tuple[str, dict[str, object]]] = [
    ("move_to_directory", {}),
    ("reactivate", {}),
    ("activate", {}),
    ("pause", {}),
    ("resume", {}),
    ("assign_schedule", {"schedule": "dunning"}),
    ("assign_schedule", {"schedule": "dunning", "reference": "second"}),
    ("remove_from_schedule", {"schedule": "dunning"}),
    ("move_to_version", {"schedule": "dunning"}),
    ("record", {"fact": {"fact": "payment"}}),
    ("update_customer", {"profile": {"zone": "Asia/Tokyo"}}),
    ("purge", {}),
    ("block", {"channel": "sms"}),
    ("unblock", {"channel": "sms"}),
    ("add_customer", {"profile": {"email": "a@example.org", "phone": "+33612345678"}}),
]


class Stress:
    """Operations are counted by customer of a command, and by send of a part of a reminder."""

    def __init__(self, layby: Layby, operations: int) -> None:
        self.layby = layby
        self.operations = operations
        self.done = 0
        self._counting = threading.Lock()
        self._lists = copy(layby)
        self._lists.bulk_from = 1

    def run(self, seed: int) -> None:
        chance = random.Random(seed)
        while self.done < self.operations:
            count = self._one_of(chance)
            with self._counting:
                self.done += count

    def _one_of(self, chance: random.Random) -> int:
        acts: list[Callable[[random.Random], int]] = [
            *([self._command] * 4),
            *([self._start] * 3),
            *([self._settle] * 4),
            self._bulk,
            self._switch,
            self._sweep,
            self._newer_version,
        ]
        return chance.choice(acts)(chance)

    def _command(self, chance: random.Random) -> int:
        kind, fields = chance.choice(KINDS)
        customers = chance.sample(CUSTOMERS, chance.randint(1, PER_COMMAND))
        self.layby.accept(kind, customers=customers, **fields)
        apply_to(self.layby.engine, self.layby.account, customers)
        return len(customers)

    def _bulk(self, chance: random.Random) -> int:
        """A list or a filter is accepted, and the bulk worker has a turn: several may at once."""
        if chance.random() < 0.5:
            kind, fields = chance.choice(KINDS)
            fields = {**fields, "customers": chance.sample(CUSTOMERS, 2 * PER_COMMAND)}
        else:
            kind, fields = chance.choice(FILTERS)
        command = self._lists.accept(kind, **fields)
        apply_bulk(self.layby.engine, self.layby.account)
        return 1 + self.layby.outcome(command).targets

    def _switch(self, chance: random.Random) -> int:
        """Paused, and soon resumed: by this thread, or by another one first."""
        switch = chance.choice(SWITCHES)
        pause(self.layby.engine, switch)
        self._one_of(chance)
        with suppress(SwitchError):
            resume(self.layby.engine, switch, over=timedelta(0))
        return 1

    def _start(self, chance: random.Random) -> int:
        channel = chance.choice(list(Channel))
        return 1 + len(start(self.layby.engine, self.layby.account, channel, room=20))

    def _settle(self, chance: random.Random) -> int:
        """As its worker, and as a rescue and a second worker that come at the same time."""
        opens = started(self.layby.engine, self.layby.account)
        chosen = chance.sample(opens, min(len(opens), chance.randint(1, 20)))
        if chosen:
            answer(self.layby.engine, chosen, chance.choice(list(Answer)))
        return 1 + len(chosen)

    def _newer_version(self, chance: random.Random) -> int:
        """Which the others' `move_to_version` then find."""
        definition = chance.choice([DUE_AT_ONCE, LATER])
        self.layby.accept("put_schedule", schedule="dunning", definition=definition)
        with self.layby.engine.connect() as connection:
            put = unapplied.work_waiting(connection, self.layby.account, 10).set_up
        for seq in put:
            apply_set_up(self.layby.engine, self.layby.account, seq)
        return len(put)

    def _sweep(self, _: random.Random) -> int:
        return 1 + sweep(self.layby.engine)


@pytest.mark.parametrize(
    "operations", [2_000, pytest.param(10_000, marks=pytest.mark.soak)], ids="{:,}".format
)
def test_mixed_operations_end_without_one_deadlock(
    layby: Layby, between: Interleaving, monkeypatch: pytest.MonkeyPatch, operations: int
) -> None:
    """The engine tries a deadlock again, so it would not be seen: it is counted where it occurs."""
    layby.set_up(active_limit=25, schedule=DUE_AT_ONCE)
    layby.add(*CUSTOMERS)
    monkeypatch.setattr(bulk, "CHUNK", BULK_AT_ONCE)
    monkeypatch.setattr(resolving, "LOOKED_AT_ONCE", BULK_AT_ONCE)
    stress = Stress(layby, operations)
    with errors_by_state(layby.engine) as errors:
        tasks = [between.run(partial(stress.run, seed)) for seed in range(THREADS)]
        for task in tasks:
            task.result(within_seconds=280)
    assert errors.get("40P01", 0) == 0
    assert errors == {}
    assert stress.done >= operations
    assert broken(layby.engine) == {}
    assert paused(layby.engine) == []
    for apply in (apply_waiting, apply_bulk):
        while apply(layby.engine, layby.account).more:
            pass
    assert layby.rows(NOTHING_WAITS) == []
    answer(layby.engine, started(layby.engine, layby.account), Answer.ACCEPTED)
    sweep(layby.engine)
    assert layby.rows("SELECT 1 FROM command_targets WHERE open <> '{}' AND quiet_at IS NULL") == []
    assert broken(layby.engine) == {}
    with layby.engine.connect() as connection:
        assert [one for one in run_audit(connection) if one.found] == []
