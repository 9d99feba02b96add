"""Blocks and opt-outs: what they forbid, end and pass over; and how they are lifted."""

from collections.abc import Iterator

from stateful.journey.parts import Line, Said
from stateful.journey.runs import Runs


class Words(Runs):
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
            if {step.channel for step in run.plan.steps[run.step :]} <= closed:
                ended.append(run)
            elif run.where == "pending":
                while run.plan.steps[run.step].channel in closed:
                    self._write(run, "cancelled", kind)
                    cancelled += 1
                    run.step += 1
                    self._plan(run)
        opened = [
            run
            for run in self.runs
            if run.customer == name
            and run.send is not None
            and (run in ended or run.plan.steps[run.step].channel in channels)
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
