"""What a journey comes to, in plain Python: no locks, no tables, one thing after another.

A file for each part: parts, state, runs, words, sends, handlers; and here the inbox: which command
reaches whom, and when.
"""

from collections.abc import Iterator

from stateful.journey.handlers import Handlers
from stateful.journey.parts import Line, Told

ALLOWED: dict[str, set[str | None]] = {
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

CHANGED_IN: dict[str, set[str | None]] = {**ALLOWED, "move_to_directory": {"active"}}
"""Where a filter takes its customers from."""


class Model(Handlers):
    """Commands wait for their customers, and are applied in order."""

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
