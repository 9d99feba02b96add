"""What facts come to, in plain Python lists: slow, and written without a look at the engine.

Every schedule counts from a due date, and its steps are at nine, UTC.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

DAY = timedelta(days=1)
TOO_LATE = 2 * DAY
AGAIN_AFTER = [timedelta(minutes=m) for m in (1, 5, 25, 120, 360)]


class Plan(NamedTuple):
    """A schedule: its steps in days from the due date, and which of them say late."""

    days: tuple[int, ...]
    late: frozenset[int] = frozenset()
    ends: bool = True
    holds: frozenset[str] = frozenset({"promised", "disputed", "replied"})

    def as_json(self) -> dict[str, Any]:
        steps = [
            {
                "offset": f"{'-' if days < 0 else ''}P{abs(days)}D",
                "at": "09:00",
                "channel": "email",
                "template": "hello",
            }
            | ({"sets_status": "late"} if n in self.late else {})
            for n, days in enumerate(self.days)
        ]
        ends = ["paid"] if self.ends else []
        return {"anchor": "due_date", "steps": steps, "ends": ends, "holds": sorted(self.holds)}


@dataclass(eq=False)
class Run:
    """One customer's run through a plan. `pending` and `started` exclude each other."""

    name: str
    plan: Plan
    reference: str
    anchor: date
    step: int = 0
    held: bool = False
    pending: datetime | None = None
    due: datetime | None = None
    attempts: int = 0
    started: bool = False
    moved: bool = False
    end: str | None = None
    ledger: list[tuple[int, str, datetime]] = field(default_factory=list)
    """(step, what became of it, when)."""

    def moment(self, step: int) -> datetime:
        return datetime.combine(self.anchor + self.plan.days[step] * DAY, time(9), tzinfo=UTC)

    def schedule(self, attempts: int = 0) -> None:
        self.pending = self.due = self.moment(self.step)
        self.attempts = attempts

    def unschedule(self) -> None:
        self.pending = self.due = None

    def over(self, state: str, now: datetime) -> None:
        """Its present step is; on to the next one."""
        self.ledger.append((self.step, state, now))
        self.unschedule()
        self.started = self.moved = False
        if self.end is None:
            self.step += 1
            if self.step == len(self.plan.days):
                self.end, self.held = "completed", False
            elif not self.held:
                self.schedule()


@dataclass(eq=False)
class Mark:
    kind: str
    reference: str | None
    until: datetime | None = None
    amount: Decimal | None = None


class Came(NamedTuple):
    """What the outcome says of a fact."""

    state: str = "applied"
    cancelled: int = 0
    started: int = 0


@dataclass
class Customer:
    """One active customer, and what was recorded of it. Time only goes forward."""

    now: datetime
    runs: list[Run] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    facts: list[dict[str, Any]] = field(default_factory=list)
    paused: bool = False

    @property
    def live(self) -> list[Run]:
        return [run for run in self.runs if run.end is None]

    @property
    def status(self) -> str:
        kinds = [mark.kind for mark in self.marks]
        return next((k for k in ("disputed", "promised", "late") if k in kinds), "on_track")

    # What is owed.

    def _told(self, fact: str, reference: str) -> list[dict[str, Any]]:
        return [
            one for one in self.facts if one["fact"] == fact and one.get("reference") == reference
        ]

    def _last(self, reference: str, detail: str) -> Any:
        given = [one[detail] for one in self._told("invoice", reference) if detail in one]
        return given[-1] if given else None

    def _paid(self, reference: str) -> Decimal:
        paid = self._told("payment", reference)
        return sum((Decimal(one["amount"]) for one in paid if "amount" in one), Decimal(0))

    def settled(self, reference: str | None) -> bool:
        if reference is None or not self._told("invoice", reference):
            return False
        for one in self._told("payment", reference):
            if one.get("full") or ("full" not in one and "amount" not in one):
                return True
        owed = self._last(reference, "amount")
        return owed is not None and self._paid(reference) >= Decimal(owed)

    def _in_full(self, fact: dict[str, Any]) -> bool:
        reference = fact.get("reference")
        owed = None if reference is None else self._last(reference, "amount")
        if fact.get("full") is True or owed is None or "amount" not in fact:
            return fact.get("full") is not False
        return self._paid(reference) + Decimal(fact["amount"]) >= Decimal(owed)

    # Facts.

    def assign(self, name: str, plan: Plan, reference: str, due: date) -> Came:
        if plan.ends and reference and self.settled(reference):
            return Came("refused")
        if any((run.name, run.reference) == (name, reference) for run in self.live):
            return Came("refused")
        run = Run(name, plan, reference, due)
        self.runs.append(run)
        run.held = self._holds(run)
        if not run.held:
            run.schedule()
        return Came()

    def record(self, fact: dict[str, Any]) -> Came:
        came: Came = getattr(self, f"_{fact['fact']}")(fact, fact.get("reference"))
        return came

    def _invoice(self, fact: dict[str, Any], reference: str) -> Came:
        before = self._last(reference, "due_date")
        self.facts.append(fact)
        if "due_date" in fact and fact["due_date"] != before:
            for run in self._of(reference):
                if str(run.anchor) != fact["due_date"]:
                    self._move(run, date.fromisoformat(fact["due_date"]))
        return self._pay_off(reference) if self.settled(reference) else Came()

    def _payment(self, fact: dict[str, Any], reference: str | None) -> Came:
        in_full = self._in_full(fact)
        self.facts.append(fact)
        if in_full:
            self._keep(fact, reference)
            return self._pay_off(reference)
        runs = [run for run in self._of(reference) if run.plan.ends]
        opened = sum(run.started for run in runs)
        for run in runs:
            self._put_off(run)
        self._keep(fact, reference)
        self._hold_and_release()
        return Came("applied", 0, opened)

    def _put_off(self, run: Run) -> None:
        last = run.step if run.started else run.step - 1
        day = run.moment(last).date() if last >= 0 else run.anchor
        if self.now.date() > day:
            self._move(run, run.anchor + (self.now.date() - day))

    def _move(self, run: Run, anchor: date) -> None:
        run.anchor = anchor
        run.moved |= run.started
        if run.pending:
            run.schedule(run.attempts)

    def _pay_off(self, reference: str | None) -> Came:
        came = self._end([run for run in self._of(reference) if run.plan.ends], "paid")
        self._unmark({"promised", "disputed", "late"}, reference)
        self._hold_and_release()
        return came

    def _keep(self, fact: dict[str, Any], reference: str | None) -> None:
        amount = Decimal(fact["amount"]) if "amount" in fact else None
        for mark in [one for one in self.marks if one.kind == "promised"]:
            exact = reference is None or mark.reference == reference
            towards = mark.reference is None and mark.amount is not None and amount is not None
            if not (exact or towards):
                continue
            if mark.amount is not None and amount is not None and mark.amount > amount:
                mark.amount -= amount
            else:
                self.marks.remove(mark)

    def _promise(self, fact: dict[str, Any], reference: str | None) -> Came:
        self.facts.append(fact)
        until = datetime.combine(date.fromisoformat(fact["until"]) + DAY, time(), tzinfo=UTC)
        if until > self.now and not self.settled(reference):
            amount = Decimal(fact["amount"]) if "amount" in fact else None
            self._mark(Mark("promised", reference, until, amount))
        return self._came_to("promised", reference)

    def _dispute(self, fact: dict[str, Any], reference: str | None) -> Came:
        self.facts.append(fact)
        outcome = fact.get("outcome")
        if outcome is None:
            self._mark(Mark("disputed", reference))
            return self._came_to("disputed", reference)
        came = Came()
        if outcome == "upheld":
            heeding = [run for run in self._of(reference) if "disputed" in run.plan.holds]
            came = self._end(heeding, "dispute_upheld")
            self._unmark({"promised", "late"}, reference)
        self._unmark({"disputed"}, reference)
        self._hold_and_release()
        return came

    def _interaction(self, fact: dict[str, Any], reference: str | None) -> Came:
        self.facts.append(fact)
        self._mark(Mark("replied", reference))
        return self._came_to("replied", reference)

    def pause(self) -> Came:
        opened = sum(run.started for run in self.runs)
        self.paused = True
        return Came("applied", self._hold_and_release(), opened)

    def resume(self, hold: str = "paused", reference: str | None = None) -> Came:
        if hold == "paused":
            self.paused = False
        else:
            self._unmark({"replied"}, reference)
        self._hold_and_release()
        return Came()

    def move_and_come_back(self) -> Came:
        opened = sum(run.started for run in self.runs)
        came = self._end(self.live, "moved")
        self.marks.clear()
        self.paused = False
        return came._replace(started=opened)

    def go_on(self, now: datetime) -> None:
        """Time passes; promises may be broken by it."""
        self.now = now
        for mark in [one for one in self.marks if one.until and one.until <= now]:
            self.marks.remove(mark)
            all_live: list[str | None] = [run.reference for run in self.live]
            named = [mark.reference] if mark.reference is not None else all_live or [None]
            for reference in named:
                self._mark(Mark("late", reference))
        self._hold_and_release()

    # What follows.

    def _of(self, reference: str | None) -> list[Run]:
        return [run for run in self.live if reference in (None, run.reference)]

    def _mark(self, mark: Mark) -> None:
        self.marks = [
            one for one in self.marks if (one.kind, one.reference) != (mark.kind, mark.reference)
        ]
        self.marks.append(mark)

    def _unmark(self, kinds: set[str], reference: str | None) -> None:
        self.marks = [
            one
            for one in self.marks
            if one.kind not in kinds or reference not in (None, one.reference)
        ]

    def _holds(self, run: Run) -> bool:
        return self.paused or any(
            mark.kind in run.plan.holds and mark.reference in (None, run.reference)
            for mark in self.marks
        )

    def _hold_and_release(self) -> int:
        taken = 0
        for run in self.live:
            held = self._holds(run)
            if held and run.pending:
                run.unschedule()
                taken += 1
            if run.held and not held and not run.started:
                run.schedule()
            run.held = held
        return taken

    def _came_to(self, kind: str, reference: str | None) -> Came:
        opened = sum(run.started for run in self._of(reference) if kind in run.plan.holds)
        return Came("applied", self._hold_and_release(), opened)

    def _end(self, runs: list[Run], reason: str) -> Came:
        opened = sum(run.started for run in runs)
        for run in runs:
            if not run.started:
                run.ledger.append((run.step, "cancelled", self.now))
            run.unschedule()
            run.end, run.held = reason, False
        return Came("applied", len(runs) - opened, opened)

    # Sends.

    def start(self) -> None:
        """One batch: whatever is due begins, or is skipped as too late."""
        for run in [run for run in self.live if run.due and run.due <= self.now]:
            assert run.pending is not None
            if self.now - run.pending > TOO_LATE:
                run.over("skipped", self.now)
                continue
            run.unschedule()
            run.started = True
            run.attempts += 1
            if run.step in run.plan.late:
                self._mark(Mark("late", run.reference))

    def settle(self, run: Run, answer: str) -> None:
        if answer != "temporary" or run.attempts > len(AGAIN_AFTER):
            state = {"accepted": "sent", "unknown": "unknown"}.get(answer, "failed")
            run.over(state, self.now)
        elif run.end is not None:
            run.ledger.append((run.step, "cancelled", self.now))
            run.started = run.moved = False
        else:
            moved, run.started, run.moved = run.moved, False, False
            if run.held:
                return
            planned = run.moment(run.step)
            run.schedule(run.attempts)
            if not moved:
                run.pending = planned
                run.due = self.now + AGAIN_AFTER[run.attempts - 1]
