"""Starts and answers: docs/gate.md, and docs/schedules.md on what is late and on fallbacks."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from stateful.plain.caps import Message
from stateful.plain.customer import Customer, Mark
from stateful.plain.hours import DAY
from stateful.plain.laws import laws
from stateful.plain.rules import Asked
from stateful.plain.run import Begun, PutOff, Run

AGAIN_AFTER = [timedelta(minutes=m) for m in (1, 5, 25, 120, 360)]


def start(who: Customer, channel: str = "email") -> list[Run]:
    """One batch: whatever is due by this channel begins, is put off or skipped.

    The earlier planned goes first, and counts for the others. Returns what began.
    """
    due = [run for run in who.live if run.channel == channel and run.is_due(who.now)]
    return [run for run in sorted(due, key=_planned) if _start(who, run, channel)]


def _planned(run: Run) -> float:
    assert run.pending is not None
    return run.pending.timestamp()


def _start(who: Customer, run: Run, channel: str) -> bool:
    assert run.pending is not None
    closed = _closed(who, run, channel)
    late = who.now - run.pending > run.step.late_after_days * DAY
    if closed and channel == run.step.channel and run.step.fallback:
        run.channel, run.fallback, run.deferred = run.step.fallback, closed, None
    elif closed or (late and run.step.when_late == "skip"):
        run.over("skipped", closed or "in_time", who.now)
    elif not _put_off(who, run, channel):
        run.begun, run.attempts = Begun(run.pending, who.now), run.attempts + 1
        run.pending = run.due = run.deferred = None
        if run.step.status == "late":
            who.mark(Mark("late", run.reference))
        if run.step.status == "on_track":
            who.unmark_exactly("late", run.reference)
        return True
    return False


def _closed(who: Customer, run: Run, channel: str) -> str | None:
    """Which rule says that this is no way."""
    if not who.way_open(run.schedule, channel):
        return "consent"
    return None if channel in who.at else "reachable"


def _put_off(who: Customer, run: Run, channel: str) -> bool:
    """To a moment that all rules allow; skipped if there is none."""
    objection = _asked(who, run, channel).put_off()
    if objection is None:
        return False
    rule, until = objection
    if until is None:
        run.over("skipped", rule, who.now)
        return True
    run.deferred, run.due = rule, until
    told = run.put_off.get((run.number, run.deferred), PutOff(who.now, who.now, 0, until))
    run.put_off[run.number, run.deferred] = PutOff(told.first, who.now, told.times + 1, until)
    return True


def _asked(who: Customer, run: Run, channel: str) -> Asked:
    where, rules = who.where, who.where.settings.rules
    under = laws(rules.law, channel, where.number, where.country)
    caps = [*rules.caps, *(cap for law in under for cap in law.caps)]
    assert run.pending is not None
    return Asked(
        rules,
        run.zone,
        Message(who.now, channel, run.reference),
        run.pending,
        who.messages(max((cap.period for cap in caps), default=timedelta())),
        run.plan.window,
        where.calendar_by(run.plan),
        where.places,
        under,
        run.last,
    )


def settle(who: Customer, run: Run, answer: str, sent_by: ZoneInfo | None = None) -> None:
    """What the provider said of what is started. `sent_by`: the zone that whoever tells knows."""
    exhausted = answer == "temporary" and run.attempts > len(AGAIN_AFTER)
    nobody_there = answer == "no_such_recipient"
    other = run.step.fallback if nobody_there and run.channel == run.step.channel else None
    final = answer in ("accepted", "permanent", "unknown") or (nobody_there and other is None)
    if exhausted or final:
        state = {"accepted": "sent", "unknown": "unknown"}.get(answer, "failed")
        run.over(state, "attempts_exhausted" if exhausted else answer, who.now, sent_by)
    elif run.end is not None:
        run.write("cancelled", run.end, who.now)
        run.stop()
    else:
        _again(who, run, answer, other)


def _again(who: Customer, run: Run, answer: str, other: str | None) -> None:
    """Nobody has it for certain: it is pending once more, by the way that it went or the other."""
    moved, channel, begun = run.moved, run.channel, run.begun
    run.stop()
    wait = AGAIN_AFTER[run.attempts - 1] if answer == "temporary" else timedelta(0)
    attempts = run.attempts - (answer == "not_handed_over")
    run.unschedule()
    if other:
        channel, attempts, run.fallback = other, 0, answer
    if not run.held:
        assert channel is not None
        assert begun is not None
        run.schedule_again(channel, attempts)
        if not moved:
            run.pending, run.due = begun.planned, who.now + wait


def answer_late(run: Run, send: int, answer: str, *, exhausted: bool) -> None:
    """Of an attempt that is over: what was unknown is known now, and nothing else changes."""
    for index, line in enumerate(run.ledger):
        if line.send == send and line.state == "unknown" and answer != "unknown":
            state = "sent" if answer == "accepted" else "failed"
            rule = "attempts_exhausted" if exhausted else answer
            run.ledger[index] = line._replace(state=state, rule=rule)
