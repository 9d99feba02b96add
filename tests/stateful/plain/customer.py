"""A customer, what was recorded of it, and what stands and holds: docs/facts.md."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from stateful.plain.caps import Message
from stateful.plain.owed import Owed
from stateful.plain.plan import Anchor, Plan, Step
from stateful.plain.run import Run
from stateful.plain.where import Where
from stateful.plain.words import Words


@dataclass(eq=False)
class Mark:
    """What stands: disputed, promised, replied or late; of a reference, or of all."""

    kind: str
    reference: str | None
    until: datetime | None = None
    amount: Decimal | None = None


class Came(NamedTuple):
    """What the outcome says."""

    state: str = "applied"
    cancelled: int = 0
    started: int = 0


REFUSED = Came("refused")


@dataclass
class Customer:
    """Time only goes forward."""

    now: datetime
    name: str = ""
    where: Where = field(default_factory=Where)
    at: dict[str, str] = field(default_factory=lambda: {"email": "a@example.org"})
    """Its address and number, by channel."""
    words: Words = field(default_factory=Words)
    """The account's."""
    active: bool = True
    paused: bool = False
    runs: list[Run] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    owed: Owed = field(default_factory=Owed)

    @property
    def live(self) -> list[Run]:
        return [run for run in self.runs if run.end is None]

    @property
    def status(self) -> str:
        kinds = [mark.kind for mark in self.marks]
        return next((k for k in ("disputed", "promised", "late") if k in kinds), "on_track")

    def of(self, reference: str | None) -> list[Run]:
        return [run for run in self.live if reference in (None, run.reference)]

    # Schedules.

    def assign(
        self, schedule: str, plan: Plan, reference: str, due: Anchor | None, version: int = 1
    ) -> Came:
        if plan.by_moment is not (due is None):
            return REFUSED
        if not self.active or (plan.ends and reference and self.owed.settled(reference)):
            return REFUSED
        if any((run.schedule, run.reference) == (schedule, reference) for run in self.live):
            return REFUSED
        if not self.any_way(schedule, plan.steps):
            return REFUSED
        run = Run(schedule, plan, version, reference, due or self.now, self.where)
        self.runs.append(run)
        run.held = self.holds(run)
        if not run.held:
            run.schedule_it()
        return Came()

    def remove(self, schedule: str, reference: str | None) -> Came:
        runs = [run for run in self.of(reference) if run.schedule == schedule]
        return self.end(runs, "removed") if self.active and runs else REFUSED

    def way_open(self, schedule: str, channel: str) -> bool:
        """Nobody has said a word against it."""
        return not self.words.forbid(self.name, self.at, channel, schedule)

    def any_way(self, schedule: str, steps: Sequence[Step]) -> bool:
        return any(self.way_open(schedule, channel) for step in steps for channel in step.ways)

    # The customer itself.

    def pause(self) -> Came:
        if not self.active:
            return REFUSED
        opened = sum(run.started for run in self.runs)
        self.paused = True
        return Came("applied", self.hold_and_release(), opened)

    def resume(self, hold: str = "paused", reference: str | None = None) -> Came:
        if not self.active:
            return REFUSED
        if hold == "paused":
            self.paused = False
        else:
            self.unmark({"replied"}, reference)
        self.hold_and_release()
        return Came()

    def move_to_directory(self) -> Came:
        opened = sum(run.started for run in self.runs)
        if not self.active:
            return Came("applied", 0, opened)
        came = self.end(self.live, "moved")
        self.marks.clear()
        self.paused = self.active = False
        return came._replace(started=opened)

    def reactivate(self) -> Came:
        if self.active:
            return REFUSED
        self.active = True
        return Came()

    def go_on(self, now: datetime) -> None:
        """Time passes; promises may be broken by it."""
        self.now = now
        for mark in [one for one in self.marks if one.until and one.until <= now]:
            self.marks.remove(mark)
            all_live: list[str | None] = [run.reference for run in self.live]
            named = [mark.reference] if mark.reference is not None else all_live or [None]
            for reference in named:
                self.mark(Mark("late", reference))
        self.hold_and_release()

    # What stands, and what follows.

    def mark(self, mark: Mark) -> None:
        self.unmark_exactly(mark.kind, mark.reference)
        self.marks.append(mark)

    def unmark_exactly(self, kind: str, reference: str | None) -> None:
        self.marks = [one for one in self.marks if (one.kind, one.reference) != (kind, reference)]

    def unmark(self, kinds: set[str], reference: str | None) -> None:
        """Without a reference, of all."""
        self.marks = [
            one
            for one in self.marks
            if one.kind not in kinds or reference not in (None, one.reference)
        ]

    def holds(self, run: Run) -> bool:
        return self.paused or any(
            mark.kind in run.plan.holds and mark.reference in (None, run.reference)
            for mark in self.marks
        )

    def hold_and_release(self) -> int:
        """Returns how many pending sends were taken out."""
        taken = 0
        for run in self.live:
            held = self.holds(run)
            if held and run.pending:
                run.unschedule()
                taken += 1
            if run.held and not held and not run.started:
                run.schedule_it()
            run.held = held
        return taken

    def end(self, runs: list[Run], reason: str) -> Came:
        opened = sum(run.started for run in runs)
        for run in runs:
            if not run.started:
                run.write("cancelled", reason, self.now)
            run.unschedule()
            run.stop_for_good(reason, self.now)
        return Came("applied", len(runs) - opened, opened)

    # What was sent, and where.

    def messages(self, back: timedelta) -> list[Message]:
        """Those that went out, may have, or are in progress.

        What a run sent that was over so long ago was handed over by then, whenever it was settled.
        """
        runs = [run for run in self.runs if not run.ended or run.ended > self.now - back]
        return [message for run in runs for message in run.messages]

    def change(self, profile: dict[str, str | None]) -> None:
        """A zone that is told, and a number or country that tells of another one, plan anew."""
        before = self.where.derived
        if "zone" in profile:
            self.where.zone = profile["zone"]
        if "country" in profile:
            self.where.country = profile["country"]
        if "phone" in profile:
            self.where.number = profile["phone"]
            self.at.pop("sms", None)
            self.at |= {"sms": profile["phone"]} if profile["phone"] else {}
        if "zone" in profile or (self.where.zone is None and self.where.derived != before):
            self.plan_anew()

    def plan_anew(self) -> None:
        """What is pending, unless it is tried again: at the same local time, by the same way."""
        for run in self.live:
            if run.pending and run.channel and not run.attempts:
                run.schedule_again(run.channel, 0)
