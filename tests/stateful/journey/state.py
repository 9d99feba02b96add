"""All that the model knows at one moment."""

from dataclasses import dataclass, field
from datetime import datetime

from stateful.journey.parts import Attempt, Line, Order, Person, Run, Said, Told
from stateful.plain.caps import Message
from stateful.plain.plan import Plan
from stateful.plain.rules import Rules


@dataclass
class State:
    """What there is, and how much of it."""

    now: datetime
    active_limit: int
    directory_limit: int
    people: dict[str, Person] = field(default_factory=dict)
    silenced: dict[str, Order] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    versions: dict[str, list[Plan]] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    lines: dict[tuple[str, str], Line] = field(default_factory=dict)
    ledger: dict[tuple[int, int], tuple[str, str, int | None]] = field(default_factory=dict)
    went: dict[tuple[int, int], Message] = field(default_factory=dict)
    """What would count against a cap of each outcome, if it was sent or may have been."""
    rules: Rules = field(default_factory=Rules)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    """Switches that are on: a channel, the account, the template of all emails, hello, a queue."""
    said: dict[Said, tuple[Order, str | None]] = field(default_factory=dict)
    """With the order of the latest word, and beside whom the first one was recorded."""
    before: dict[Said, tuple[Order, str | None]] = field(default_factory=dict)
    order: Order = (0, 0)
    """Of the command that is applied, and what had been said before it."""

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
