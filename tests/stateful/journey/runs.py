"""Runs through schedules: when they are due, how they are held, put off and ended."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from stateful.journey.parts import Run
from stateful.journey.state import State
from stateful.plain.calendar import EVERY_DAY
from stateful.plain.caps import Message
from stateful.plain.plan import Plan


class Runs(State):
    def put_schedule(self, schedule: str, plan: Plan) -> None:
        versions = self.versions.setdefault(schedule, [])
        if versions[-1:] != [plan]:
            versions.append(plan)

    def _write(self, run: Run, state: str, rule: str, send: int | None = None) -> None:
        key = (self.runs.index(run), run.step)
        assert key not in self.ledger, "a step has one outcome"
        self.ledger[key] = (state, rule, send)
        self.went[key] = Message(self.now, run.plan.steps[run.step].channel, run.reference)

    def _end(self, runs: list[Run], reason: str) -> int:
        cancelled = 0
        for run in runs:
            if run.where != "started":
                self._write(run, "cancelled", reason)
                cancelled += 1
                run.where = None
            run.ended, run.ended_at, run.held = reason, self.now, False
        return cancelled

    def _hold(self, name: str) -> int:
        self.people[name].paused = True
        taken = 0
        for run in self.live(name):
            run.held = True
            if run.where == "pending":
                run.where = None
                taken += 1
        return taken

    def _put_off(self, run: Run) -> None:
        """Paid in part: the distance from the last step to the next one counts anew."""
        last = run.step if run.where == "started" else run.step - 1
        if isinstance(run.anchor, datetime):
            since = self._due(run, last) if last >= 0 else run.anchor
            shift = self.now - since
        else:
            zone = self._zone(run)
            day = self._due(run, last).astimezone(zone).date() if last >= 0 else run.anchor
            shift = self.now.astimezone(zone).date() - day
        if shift <= timedelta(0):
            return
        run.anchor += shift
        if run.where == "pending":
            self._plan(run, run.attempts)
        run.moved = run.where == "started"

    def _plan(self, run: Run, attempts: int = 0) -> None:
        due = self._due(run, run.step)
        run.where, run.planned_at, run.due_at, run.attempts = "pending", due, due, attempts
        run.deferred = None

    def _zone(self, run: Run) -> ZoneInfo:
        return ZoneInfo(self.people[run.customer].zone or "UTC")

    def _due(self, run: Run, number: int) -> datetime:
        return run.plan.moment(run.anchor, number, self._zone(run), EVERY_DAY)
