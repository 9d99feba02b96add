"""Two at once: who comes second waits for the first, or passes by whom that has locked."""

from collections.abc import Callable
from typing import Any, NamedTuple

from concurrency.interleave import Interleaving, until
from concurrency.parts import FakeClock, start
from harness import Layby
from hypothesis.stateful import RuleBasedStateMachine
from stateful.debts_acts import Act, Command
from stateful.debts_side import Side

from domain.message import Answer
from scheduler.ticks import Watch

WRITES = {
    "start": "INSERT INTO started",
    "settle": "DELETE FROM started",
    "rescue": "DELETE FROM started",
}
"""By which a transaction that did something is known, and held open."""


class Sending(NamedTuple):
    """A start, an answer or a rescue; and what the planner makes of it afterwards."""

    work: Callable[[], object]
    plainly: Callable[[], None]


class Pairs(RuleBasedStateMachine):
    """A command of one account, and a start, an answer or a rescue."""

    layby: Layby
    clock: FakeClock
    watch: Watch
    sides: list[Side]
    side: Side
    """Whose turn it is."""

    def command_holds(self, name: str, command: Command, meanwhile: Act) -> None:
        """The command has done all but commit when a start, an answer or a rescue comes."""
        side = self.side
        kind, fields = side.written(command)
        accepted = side.layby.accept(kind, customers=[name], **fields)
        act, arguments = meanwhile
        sending = self.sending(act, **arguments, but_for=name)
        with Interleaving(self.layby.engine) as between:
            applies = lambda: side.layby.apply(accepted)  # noqa: E731 - it has no other name
            first = between.stopped(applies, having="UPDATE command_targets t")
            second = between.run(sending.work)
            between.until_done_or_waiting(second, for_=first)
            came = first.go().result()
            second.result()
        if act == "start":
            sending.plainly()
        side.same(came, side.plain.apply(kind, name, fields))
        if act != "start":
            sending.plainly()

    def command_waits(self, name: str, command: Command, for_: Act) -> None:
        """A start, an answer or a rescue has done all but commit when the command comes."""
        side = self.side
        kind, fields = side.written(command)
        accepted = side.layby.accept(kind, customers=[name], **fields)
        act, arguments = for_
        sending = self.sending(act, **arguments)
        with Interleaving(self.layby.engine) as between:
            first = between.run(sending.work, stop_having=WRITES[act])
            until(lambda: first.stopped or first.done, "it has done all but commit")
            second = between.run(lambda: side.layby.apply(accepted))
            between.until_done_or_waiting(second, for_=first)
            passed_by = act != "start" and first.stopped and second.done
            first.go().result()
            came = second.result()
        if passed_by:
            # What is out under a slot that is gone, or another account's, holds up nobody.
            side.same(came, side.plain.apply(kind, name, fields))
            sending.plainly()
        else:
            sending.plainly()
            side.same(came, side.plain.apply(kind, name, fields))

    def sending(self, act: str, **of: Any) -> Sending:
        side = self.side
        if act == "start":
            return Sending(
                lambda: start(self.layby.engine, side.account, of["channel"]),
                lambda: side.begun(of["channel"], of.get("but_for")),
            )
        if act == "rescue":
            return self._rescue(of.get("but_for"))
        # A worker answers by what it read when it began, and not by what was moved since.
        out = side.out()
        chosen = [side.attempts[out[of["which"] % len(out)].send].one] if out else []
        return Sending(
            lambda: side.answer(chosen, of["with_"]), lambda: side.settled(chosen, of["with_"])
        )

    def _rescue(self, but_for: str | None) -> Sending:
        """Whoever watches has seen what is out for a whole lease, of every account.

        Whom somebody holds is left to them, unless the slot that it began under is gone.
        """
        out = [(side, side.out()) for side in self.sides]
        held = self.side.plain.customers[but_for].runs if but_for else []
        left = [run for run in held if run.end != "moved"]

        def work() -> None:
            self.watch.rescue(self.layby.engine)
            self.clock.pass_lease()
            self.watch.rescue(self.layby.engine)

        def plainly() -> None:
            for side, sends in out:
                free = [one for one in sends if side.run(one) not in left]
                side.settled(free, Answer.UNKNOWN, side.zones(free))

        return Sending(work, plainly)
