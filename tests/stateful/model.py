"""What a journey comes to, in plain Python: no locks, no tables, one thing after another."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

LATE = timedelta(days=2)
WAITS = [timedelta(minutes=m) for m in (1, 5, 25, 120, 360)]
LEASE_SECONDS = 30
PAUSED_LOOK = timedelta(hours=1)
COMMAND_LOOK = timedelta(minutes=10)
QUEUES = ("lifecycle", "bulk")

Order = tuple[int, int]
"""Issued long ago, by day; else as received, after all of those."""


class Step(NamedTuple):
    offset: timedelta
    at: time | None
    channel: str


class Definition(NamedTuple):
    """A schedule as the machine puts it, and as the model reads it."""

    steps: tuple[Step, ...]
    ended_by_payment: bool

    def as_json(self) -> dict[str, Any]:
        steps = [
            {
                "offset": step.offset,
                "channel": step.channel,
                "template": "hello" if step.channel == "email" else "nudge",
                **({"at": step.at} if step.at else {}),
            }
            for step in self.steps
        ]
        return {
            "anchor": "due_date" if self.steps[0].at else "assigned_at",
            "steps": [{**step, "offset": f"P{step['offset'].days}D"} for step in steps],
            "ends": ["paid"] if self.ended_by_payment else [],
        }


def _days(*steps: tuple[int, time | None, str]) -> tuple[Step, ...]:
    return tuple(Step(timedelta(days=days), at, channel) for days, at, channel in steps)


DEFINITIONS = {
    "calls": (
        Definition(_days((0, None, "email"), (1, None, "sms"), (3, None, "email")), True),  # noqa: FBT003
        Definition(_days((0, None, "sms"), (0, None, "email")), True),  # noqa: FBT003
    ),
    "bill": (
        Definition(_days((0, time(9), "email"), (1, time(8, 30), "email")), False),  # noqa: FBT003
        Definition(_days((1, time(7), "email"), (4, time(19), "sms")), True),  # noqa: FBT003
    ),
}


@dataclass
class Person:
    place: str
    phone: bool
    zone: str | None = None
    paused: bool = False
    kept: bool = False


@dataclass(eq=False)
class Run:
    """One enrolment. `where`: what its present step is, pending, started or neither."""

    customer: str
    schedule: str
    version: int
    reference: str
    anchor: date | datetime
    definition: Definition
    step: int = 0
    held: bool = False
    ended: str | None = None
    where: str | None = None
    planned_at: datetime | None = None
    due_at: datetime | None = None
    attempts: int = 0
    send: int | None = None
    deferred: str | None = None
    """Put off because its template is paused, or a command that waits for a paused queue."""
    moved: bool = False
    """It counts from another anchor since its send was started."""

    @property
    def live(self) -> bool:
        return self.ended is None


@dataclass(eq=False)
class Told:
    """A command that was accepted, for those it still waits for.

    A bulk one reaches those who are `aimed` at: all, once it is resolved. `looked`: how far that
    is, by number in the list, or by the name that a filter came to.
    """

    command: str
    kind: str
    fields: dict[str, Any]
    order: Order
    waiting: list[str]
    asked: dict[str, str] | None = None
    bulk: bool = False
    resolved: bool = True
    aimed: set[str] = field(default_factory=set)
    listed: list[str] = field(default_factory=list)
    looked: int = 0
    looked_to: str = ""

    def waits_for(self, name: str) -> bool:
        return name in self.waiting and (self.resolved or name in self.aimed)


class Said(NamedTuple):
    """A suppression. Everybody of the machine has one address and, who has one, one number."""

    kind: str
    aim: str
    customer: str | None
    """Null: of the address or the number."""
    channel: str


class Line(NamedTuple):
    state: str
    cancelled: int = 0
    open: frozenset[int] | None = None


class Attempt(NamedTuple):
    """A send that was started once: whose, which step, and how many there had been with it."""

    run: Run
    step: int
    attempts: int


ALLOWED = {
    "add_customer": {None},
    "update_customer": {"reserve", "active", "archived"},
    "activate": {"reserve"},
    "reactivate": {"archived"},
    "move_to_directory": {"active", "archived"},
    "purge": {"reserve"},
    "pause": {"active"},
    "resume": {"active"},
    "assign_schedule": {"active"},
    "remove_from_schedule": {"active"},
    "record": {"reserve", "active", "archived"},
    "block": {"reserve", "active", "archived"},
    "unblock": {"reserve", "active", "archived"},
    "opt_out": {"reserve", "active", "archived"},
    "opt_in": {"reserve", "active", "archived"},
}

CHANGED_IN = {**ALLOWED, "move_to_directory": {"active"}}
"""Where a filter takes its customers from."""


@dataclass
class Model:
    now: datetime
    active_limit: int
    directory_limit: int
    people: dict[str, Person] = field(default_factory=dict)
    silenced: dict[str, Order] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    versions: dict[str, list[Definition]] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    lines: dict[tuple[str, str], Line] = field(default_factory=dict)
    ledger: dict[tuple[int, int], tuple[str, str, int | None]] = field(default_factory=dict)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    """Switches that are on: a channel, the account, the template of all emails, hello, a queue."""
    said: dict[Said, tuple[Order, str | None]] = field(default_factory=dict)
    """With the order of the latest word, and beside whom the first one was recorded."""
    before: dict[Said, tuple[Order, str | None]] = field(default_factory=dict)
    order: Order = (0, 0)
    """Of the command that is applied, and what had been said before it."""

    # Counting.

    def count(self, *, active: bool) -> int:
        return sum((person.place == "active") is active for person in self.people.values())

    def live(self, customer: str) -> list[Run]:
        return [run for run in self.runs if run.customer == customer and run.live]

    def open(self, runs: list[Run]) -> frozenset[int]:
        return frozenset(run.send for run in runs if run.send is not None)

    def open_of(self, customer: str) -> frozenset[int]:
        return self.open([run for run in self.runs if run.customer == customer])

    @property
    def started(self) -> set[int]:
        return set(self.open(self.runs))

    # Commands.

    @property
    def waiting(self) -> set[str]:
        return {name for told in self.told for name in told.waiting}

    @property
    def waiting_singly(self) -> set[str]:
        """For whom something waits that is not bulk: what the lifecycle worker begins with."""
        return {name for told in self.told if not told.bulk for name in told.waiting}

    def accept(self, told: Told) -> None:
        """Whom an unresolved list names too, that list reaches first."""
        if not told.bulk:
            for earlier in self.told:
                earlier.aimed |= set(told.waiting)
        self.told.append(told)

    @property
    def unresolved(self) -> Told | None:
        """The oldest bulk command that has not all of its targets."""
        return next((told for told in self.told if not told.resolved), None)

    def resolve_some(self, told: Told, limit: int) -> None:
        """Look at the next customers; those of a list are aimed at, whoever they are."""
        if told.asked is None:
            looked = told.listed[told.looked : told.looked + limit]
            told.looked += len(looked)
        else:
            looked = sorted(name for name in self.people if name > told.looked_to)[:limit]
            told.looked_to = max(looked, default=told.looked_to)
            told.waiting += [name for name in looked if self._fits(told, name)]
        told.aimed |= set(looked)
        told.resolved = len(looked) < limit

    def chunks(self, size: int) -> list[set[str]]:
        """Whom the bulk worker holds at once: by command, then by name."""
        waiting = [
            name
            for told in self.told
            if told.bulk
            for name in sorted(told.waiting)
            if told.waits_for(name)
        ]
        return [set(waiting[n : n + size]) for n in range(0, len(waiting), size)]

    def applies(self, names: set[str]) -> bool:
        """Whether anything of what waits for these customers is applied now."""
        return any(self._turn(names))

    def _fits(self, told: Told, name: str) -> bool:
        assert told.asked is not None
        if name not in self.people or self.people[name].place not in CHANGED_IN[told.kind]:
            return False
        schedule, place = told.asked.get("schedule"), told.asked.get("place")
        return place in (None, self.people[name].place) and (
            schedule is None or any(run.schedule == schedule for run in self.live(name))
        )

    def apply(self, names: set[str]) -> None:
        """All that waits for these customers: everybody's first, then second, and so on."""
        while turn := list(self._turn(names)):
            for one in sorted({id(told): told for told, _ in turn}.values(), key=self.told.index):
                here = sorted(name for told, name in turn if told is one)
                self._apply_one(one, here)
                one.waiting = [name for name in one.waiting if name not in here]

    def _turn(self, names: set[str]) -> Iterator[tuple[Told, str]]:
        for name in names:
            first = next((told for told in self.told if told.waits_for(name)), None)
            if first is not None and not self._is_paused(first):
                yield first, name

    def _is_paused(self, told: Told) -> bool:
        """A pause of lifecycle is one of bulk; what came behind paused work waits with it."""
        return "lifecycle" in self.paused or (told.bulk and "bulk" in self.paused)

    def _apply_one(self, told: Told, names: list[str]) -> None:
        if told.kind in ("move_to_directory", "pause"):
            for name in names:
                if name in self.people:
                    self.silenced[name] = max(self.silenced.get(name, (-1, 0)), told.order)
        here = []
        for name in names:
            place = self.people[name].place if name in self.people else None
            if place not in ALLOWED[told.kind]:
                self._line(told, name, Line("refused"))
            elif (
                told.kind in ("activate", "reactivate", "resume")
                and self.silenced.get(name, (-1, 0)) > told.order
            ):
                self._line(told, name, Line("superseded"))
            elif told.asked is not None and not self._fits(told, name):
                self._line(told, name, Line("refused"))
            else:
                here.append(name)
        self.before, self.order = dict(self.said), told.order
        handle = getattr(self, told.kind)
        for name in here:
            self._line(told, name, handle(name, **told.fields))

    def _line(self, told: Told, name: str, line: Line) -> None:
        assert (told.command, name) not in self.lines
        self.lines[told.command, name] = line

    def add_customer(self, name: str, profile: dict[str, Any], place: str = "reserve") -> Line:
        active = place == "active"
        limit = self.active_limit if active else self.directory_limit
        if self.count(active=active) >= limit:
            return Line("refused")
        self.people[name] = Person(place, "phone" in profile, profile.get("zone"))
        return Line("applied")

    def update_customer(self, name: str, profile: dict[str, Any]) -> Line:
        person = self.people[name]
        person.phone |= "phone" in profile
        if "zone" in profile:
            person.zone = profile["zone"]
            for run in self.live(name):
                if run.where == "pending" and run.attempts == 0:
                    self._plan(run)
        return Line("applied")

    def activate(self, name: str) -> Line:
        if self.count(active=True) >= self.active_limit:
            return Line("refused")
        self.people[name].place = "active"
        self.people[name].paused = False
        return Line("applied")

    reactivate = activate

    def move_to_directory(self, name: str, if_full: str = "pause") -> Line:
        person, opened = self.people[name], self.open_of(name)
        if person.place == "archived":
            return Line("applied", 0, opened)
        if self.count(active=False) >= self.directory_limit:
            if if_full == "refuse":
                return Line("refused")
            return Line("refused", self._hold(name), opened)
        cancelled = self._end(self.live(name), "moved")
        person.place, person.kept, person.paused = "archived", True, False
        return Line("applied", cancelled, opened)

    def purge(self, name: str) -> Line:
        if self.people[name].kept:
            return Line("refused")
        against = [
            list(self._against(name, kind, channel))
            for kind in ("blocked", "opted_out")
            for channel in ("email", "sms")
        ]
        del self.people[name]
        self.silenced.pop(name, None)
        for own, *theirs in against:
            others = [one for one in self.people.values() if own.channel == "email" or one.phone]
            for one in theirs if own in self.said and not others else ():
                self.said.setdefault(one, (self.said[own][0], name))
        return Line("applied")

    def pause(self, name: str) -> Line:
        opened = self.open_of(name)
        return Line("applied", self._hold(name), opened)

    def resume(self, name: str) -> Line:
        self.people[name].paused = False
        for run in self.live(name):
            if run.held:
                run.held = False
                if run.where is None:
                    self._plan(run)
        return Line("applied")

    def assign_schedule(
        self, name: str, schedule: str, reference: str = "", due_date: date | None = None
    ) -> Line:
        if any((r.schedule, r.reference) == (schedule, reference) for r in self.live(name)):
            return Line("refused")
        versions = self.versions[schedule]
        if (due_date is None) is (versions[-1].steps[0].at is not None):
            return Line("refused")
        if self._forbidden(name) >= {step.channel for step in versions[-1].steps}:
            return Line("refused")
        run = Run(name, schedule, len(versions), reference, due_date or self.now, versions[-1])
        self.runs.append(run)
        if self.people[name].paused:
            run.held = True
        else:
            self._plan(run)
        return Line("applied")

    def remove_from_schedule(self, name: str, schedule: str, reference: str | None = None) -> Line:
        ending = [
            run
            for run in self.live(name)
            if run.schedule == schedule and reference in (None, run.reference)
        ]
        if not ending:
            return Line("refused")
        return Line("applied", self._end(ending, "removed"), self.open(ending))

    def record(self, name: str, fact: dict[str, Any]) -> Line:
        self.people[name].kept = True
        ending = [
            run
            for run in self.live(name)
            if run.definition.ended_by_payment and fact.get("reference") in (None, run.reference)
        ]
        if not fact.get("full", True):
            for run in ending:
                self._put_off(run)
            return Line("applied", 0, self.open(ending) or None)
        return Line("applied", self._end(ending, "paid"), self.open(ending))

    def block(self, name: str, channel: str | None = None) -> Line:
        return self._silence(name, "blocked", channel)

    def opt_out(self, name: str, channel: str | None = None) -> Line:
        return self._silence(name, "opted_out", channel)

    def unblock(self, name: str, channel: str | None = None) -> Line:
        return self._lift(name, "blocked", channel)

    def opt_in(self, name: str, consent: dict[str, str], channel: str | None = None) -> Line:
        assert consent
        return self._lift(name, "opted_out", channel)

    def _against(self, name: str, kind: str, channel: str) -> Iterator[Said]:
        """All that can be said against a customer of a kind and channel."""
        yield Said(kind, "customer", name, channel)
        if channel == "email":
            yield Said(kind, "address", None, channel)
        elif self.people[name].phone:
            yield Said(kind, "number", None, channel)

    def _forbidden(self, name: str) -> set[str]:
        return {
            one.channel
            for kind in ("blocked", "opted_out")
            for channel in ("email", "sms")
            for one in self._against(name, kind, channel)
            if one in self.said
        }

    def _silence(self, name: str, kind: str, channel: str | None) -> Line:
        channels = {channel} if channel else {"email", "sms"}
        for one in (one for by in channels for one in self._against(name, kind, by)):
            beside = None if one.aim == "customer" else name
            order, first = self.said.get(one, (self.order, beside))
            self.said[one] = (max(order, self.order), first)
        closed = self._forbidden(name) | channels
        cancelled, ended = 0, []
        for run in self.live(name):
            if {step.channel for step in run.definition.steps[run.step :]} <= closed:
                ended.append(run)
            elif run.where == "pending":
                while run.definition.steps[run.step].channel in closed:
                    self._write(run, "cancelled", kind)
                    cancelled += 1
                    run.step += 1
                    self._plan(run)
        opened = [
            run
            for run in self.runs
            if run.customer == name
            and (run in ended or run.definition.steps[run.step].channel in channels)
        ]
        return Line("applied", cancelled + self._end(ended, kind), self.open(opened))

    def _lift(self, name: str, kind: str, channel: str | None) -> Line:
        channels = {channel} if channel else {"email", "sms"}
        against = {one for by in channels for one in self._against(name, kind, by)}
        mine = {
            one: order
            for one, (order, beside) in self.before.items()
            if one in against or (beside == name and one.kind == kind and one.channel in channels)
        }
        if not mine:
            return Line("refused")
        if max(mine.values()) > self.order:
            return Line("superseded")
        for one in mine:
            self.said.pop(one, None)
        return Line("applied")

    def put_schedule(self, schedule: str, definition: Definition) -> None:
        versions = self.versions.setdefault(schedule, [])
        if not versions or versions[-1] != definition:
            versions.append(definition)

    # What follows from commands.

    def _write(self, run: Run, state: str, rule: str, send: int | None = None) -> None:
        key = (self.runs.index(run), run.step)
        assert key not in self.ledger, "a step has one outcome"
        self.ledger[key] = (state, rule, send)

    def _end(self, runs: list[Run], reason: str) -> int:
        cancelled = 0
        for run in runs:
            if run.where != "started":
                self._write(run, "cancelled", reason)
                cancelled += 1
                run.where = None
            run.ended, run.held = reason, False
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
        step = run.definition.steps[number]
        if step.at is None:
            assert isinstance(run.anchor, datetime)
            return run.anchor + step.offset
        wall = datetime.combine(run.anchor + step.offset, step.at, tzinfo=self._zone(run))
        return wall.astimezone(UTC)

    # Sends.

    def due(self, channel: str) -> list[Run]:
        return [
            run
            for run in self.runs
            if run.where == "pending"
            and run.definition.steps[run.step].channel == channel
            and run.due_at is not None
            and run.due_at <= self.now
        ]

    def start(self, channel: str) -> list[Run]:
        """Returns those started; the caller gives each the number of its send."""
        begun: list[Run] = []
        if self.paused & {channel, "account"}:
            return begun
        for run in self.due(channel):
            assert run.planned_at is not None
            if channel == "email" and "hello" in self.paused:
                run.due_at, run.deferred = self.now + PAUSED_LOOK, "paused"
            elif self._command_waits(run):
                run.due_at, run.deferred = self.now + COMMAND_LOOK, "command_waits"
            elif channel in self._forbidden(run.customer):
                self._skip(run, "consent")
            elif channel == "sms" and not self.people[run.customer].phone:
                self._skip(run, "reachable")
            elif self.now - run.planned_at > LATE:
                self._skip(run, "in_time")
            else:
                run.where = "started"
                run.attempts += 1
                begun.append(run)
        return begun

    def _command_waits(self, run: Run) -> bool:
        """What a paused queue put off waits until its customer's commands have been applied."""
        if not (self.paused & set(QUEUES) or run.deferred == "command_waits"):
            return False
        return any(told.waits_for(run.customer) for told in self.told)

    def pause_switch(self, name: str) -> None:
        self.paused.add(name)

    def resume_switch(self, name: str) -> None:
        """Over no time at all: what is overdue is due now."""
        self.paused.remove(name)
        channels = {"account": ("email", "sms"), "hello": ("email",)}.get(name, (name,))
        overdue = [run for channel in channels for run in self.due(channel)]
        put_off = "command_waits" if name in QUEUES else "paused" if name == "hello" else ""
        for run in self.runs:
            if run in overdue or (run.where == "pending" and run.deferred == put_off):
                run.due_at = self.now
                run.deferred = run.deferred if run.deferred == "command_waits" else None

    def number(self, run: Run, send: int) -> None:
        assert send not in self.attempts, "each attempt has a number of its own"
        run.send = send
        self.attempts[send] = Attempt(run, run.step, run.attempts)

    def _skip(self, run: Run, rule: str) -> None:
        self._write(run, "skipped", rule)
        self._advance(run)

    def _advance(self, run: Run) -> None:
        run.where, run.moved = None, False
        if not run.live:
            return
        run.step += 1
        if run.step == len(run.definition.steps):
            run.ended, run.held = "completed", False
        elif not run.held:
            self._plan(run)

    def settle(self, send: int, answer: str) -> None:
        """Of a started send, or late; the first word counts, unless it was that there is none."""
        run, step, attempts = self.attempts[send]
        exhausted = answer == "temporary" and attempts > len(WAITS)
        rule = "attempts_exhausted" if exhausted else answer
        if run.send == send:
            run.send = None
            if exhausted or answer in ("accepted", "permanent", "unknown"):
                state = {"accepted": "sent", "unknown": "unknown"}.get(answer, "failed")
                self._write(run, state, rule, send)
                self._advance(run)
            else:
                self._back(run, answer, send)
            return
        key = (self.runs.index(run), step)
        if self.ledger.get(key, ("", "", None))[::2] == ("unknown", send) and answer != "unknown":
            self.ledger[key] = ("sent" if answer == "accepted" else "failed", rule, send)

    def _back(self, run: Run, answer: str, send: int) -> None:
        run.where = None
        if not run.live:
            assert run.ended is not None
            self._write(run, "cancelled", run.ended, send)
        elif run.held:
            run.moved = False
        elif run.moved:
            self._plan(run, run.attempts - (answer == "not_handed_over"))
            run.moved = False
        else:
            wait = WAITS[run.attempts - 1] if answer == "temporary" else timedelta(0)
            run.attempts -= answer == "not_handed_over"
            run.where, run.due_at, run.deferred = "pending", self.now + wait, None
