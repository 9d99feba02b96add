"""Starts, answers, rescues and kill switches, each done to the engine and to the model."""

from contextlib import suppress
from datetime import timedelta

from concurrency.interleave import CrashedError
from concurrency.parts import FakeClock, Taken, answer, start, started
from stateful.journey.parts import LEASE_SECONDS, QUEUES, Run
from stateful.journey.tables import Tables

from domain.message import Answer, Channel
from domain.switch import Scope, Switch
from scheduler.ticks import Watch, sweep
from workers import switches


class Sending(Tables):
    """What workers, the scheduler and operators do."""

    clock: FakeClock
    watch: Watch
    seen: dict[int, float]
    over: dict[int, Taken]

    def start(self, channel: Channel, dies_at: int | None) -> None:
        handed = {}
        with suppress(CrashedError):
            self.crashing(
                dies_at, lambda: handed.update(start(self.layby.engine, self.account, channel))
            )
            begun = self.model.start(channel.value)
            self.number(begun)
            assert set(handed) == {run.send for run in begun}

    def settle(self, which: list[int], with_: Answer, dies_at: int | None) -> None:
        opens = self.some_started(which)
        with suppress(CrashedError):
            self.crashing(dies_at, lambda: answer(self.layby.engine, opens, with_))
            self.settled(opens, with_)

    def settle_late_or_again(self, which: int, with_: Answer) -> None:
        over = list(self.over.values())
        late = [over[which % len(over)]] if over else []
        answer(self.layby.engine, late, with_)
        self.settled(late, with_)

    def rescue(self, seconds: int) -> None:
        self.clock.now_seconds += seconds
        opens = {one.send: one for one in started(self.layby.engine, self.account)}
        now = self.clock.now_seconds
        self.seen = {send: self.seen.get(send, now) for send in opens}
        self.watch.rescue(self.layby.engine)
        overdue = [opens[send] for send, at in self.seen.items() if now - at > LEASE_SECONDS]
        self.settled(overdue, Answer.UNKNOWN)

    def sweep(self) -> None:
        sweep(self.layby.engine)
        for line, quiet in self.lines().values():
            assert line.open is None or quiet is not bool(line.open & self.model.started)

    def switch(self, switched: str) -> None:
        """What an operator pauses, or resumes if it is paused."""
        switch = self.named(switched)
        if switched in self.model.paused:
            switches.resume(self.layby.engine, switch, over=timedelta(0))
            self.model.resume_switch(switched)
        else:
            paused = switches.pause(self.layby.engine, switch)
            assert paused.in_progress == self.in_progress(switched)
            self.model.pause_switch(switched)

    def named(self, switched: str) -> Switch:
        if switched in QUEUES:
            return Switch(Scope.QUEUE, switched)
        scope = {"hello": Scope.TEMPLATE, "account": Scope.ACCOUNT}.get(switched, Scope.CHANNEL)
        return Switch(scope, self.account if scope is Scope.ACCOUNT else switched, self.account)

    def let_set_up_through(self) -> None:
        if "lifecycle" in self.model.paused:
            self.switch("lifecycle")

    def in_progress(self, name: str) -> int:
        opens = [run for run in self.model.runs if run.send is not None]
        of = {"hello": "email"}.get(name, name)
        return sum(of in ("account", self.channel_of(run)) for run in opens)

    def channel_of(self, run: Run) -> str:
        assert run.send is not None
        return run.plan.steps[self.model.attempts[run.send].step].channel

    def some_started(self, which: list[int]) -> list[Taken]:
        opens = started(self.layby.engine, self.account)
        chosen = {number % len(opens) for number in which if opens}
        return [opens[number] for number in chosen]

    def settled(self, opens: list[Taken], with_: Answer) -> None:
        for one in opens:
            self.model.settle(one.send, with_.value)
            self.over[one.send] = one

    def number(self, begun: list[Run]) -> None:
        keys = dict(self.keyed())
        _, enrolments = self.runs()
        for enrolment, send in self.rows("SELECT enrolment, send FROM started"):
            run = keys[enrolments[enrolment]]
            if run.send is None:
                assert run in begun
                self.model.number(run, send)
        assert all(run.send is not None for run in begun)
