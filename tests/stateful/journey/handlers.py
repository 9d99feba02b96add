"""What each command does to a customer whom it is for."""

from datetime import date
from typing import Any

from stateful.journey.parts import Line, Person, Run
from stateful.journey.sends import Sends


class Handlers(Sends):
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
            if run.plan.ends and fact.get("reference") in (None, run.reference)
        ]
        if not fact.get("full", True):
            for run in ending:
                self._put_off(run)
            return Line("applied", 0, self.open(ending) or None)
        return Line("applied", self._end(ending, "paid"), self.open(ending))
