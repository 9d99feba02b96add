"""Starts, switches and answers."""

from datetime import timedelta

from stateful.journey.parts import QUEUES, Attempt, Run
from stateful.journey.words import Words
from stateful.plain.caps import Message
from stateful.plain.rules import Asked

LATE = timedelta(days=2)
WAITS = [timedelta(minutes=m) for m in (1, 5, 25, 120, 360)]
PAUSED_LOOK = timedelta(hours=1)
COMMAND_LOOK = timedelta(minutes=10)


class Sends(Words):
    def due(self, channel: str) -> list[Run]:
        return [
            run
            for run in self.runs
            if run.where == "pending"
            and run.plan.steps[run.step].channel == channel
            and run.due_at is not None
            and run.due_at <= self.now
        ]

    def start(self, channel: str) -> list[Run]:
        """Returns those started; the caller gives each the number of its send."""
        begun: list[Run] = []
        if self.paused & {channel, "account"}:
            return begun
        for run in sorted(self.due(channel), key=_planned):
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
            elif not self._put_off_by_rules(run, channel):
                run.where, run.begun_at = "started", self.now
                run.attempts += 1
                begun.append(run)
        return begun

    def _put_off_by_rules(self, run: Run, channel: str) -> bool:
        """As tests/stateful/plain has them; skipped, if there is no moment that they allow."""
        assert run.planned_at is not None
        asked = Asked(
            self.rules,
            self._zone(run),
            Message(self.now, channel, run.reference),
            run.planned_at,
            self._messages(run.customer),
            run.plan.window,
        )
        objection = asked.put_off()
        if objection is None:
            return False
        rule, until = objection
        if until is None:
            self._skip(run, rule)
        else:
            run.due_at, run.deferred = until, rule
        return True

    def _messages(self, customer: str) -> list[Message]:
        """What a customer has had, or may have, and what is in progress.

        What a run sent that was over so long ago was handed over by then.
        """
        since = self.now - max((cap.period for cap in self.rules.caps), default=timedelta())
        counted = {
            number: run
            for number, run in enumerate(self.runs)
            if run.customer == customer and not (run.ended_at and run.ended_at <= since)
        }
        started = [
            Message(run.begun_at, run.plan.steps[run.step].channel, run.reference)
            for run in counted.values()
            if run.where == "started" and run.begun_at is not None
        ]
        return started + [
            self.went[number, step]
            for (number, step), (state, *_) in self.ledger.items()
            if number in counted and state in ("sent", "unknown")
        ]

    def _command_waits(self, run: Run) -> bool:
        """What a paused queue put off waits until its customer's commands have been applied.

        Who is on a list is waited for before the list is resolved, too.
        """
        if not (self.paused & set(QUEUES) or run.deferred == "command_waits"):
            return False
        return any(run.customer in told.waiting for told in self.told)

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
        if run.step == len(run.plan.steps):
            run.ended, run.ended_at, run.held = "completed", self.now, False
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


def _planned(run: Run) -> float:
    assert run.planned_at is not None
    return run.planned_at.timestamp()
