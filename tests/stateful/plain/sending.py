"""Starts and answers: docs/gate.md, and docs/schedules.md on what is late and on fallbacks."""

from datetime import timedelta

from stateful.plain.customer import Customer, Mark
from stateful.plain.plan import DAY
from stateful.plain.run import Run

AGAIN_AFTER = [timedelta(minutes=m) for m in (1, 5, 25, 120, 360)]


def start(who: Customer, channel: str = "email") -> list[Run]:
    """One batch: whatever is due by this channel begins, or is skipped. Returns what began."""
    due = [run for run in who.live if run.channel == channel and run.due and run.due <= who.now]
    return [run for run in due if _start(who, run, channel)]


def _start(who: Customer, run: Run, channel: str) -> bool:
    assert run.pending is not None
    closed = _closed(who, run, channel)
    late = who.now - run.pending > run.step.late_after_days * DAY
    if closed and channel == run.step.channel and run.step.fallback:
        run.channel, run.fallback = run.step.fallback, closed
    elif closed or (late and run.step.when_late == "skip"):
        run.over("skipped", closed or "in_time", who.now)
    else:
        if late and run.step.when_late == "reanchor":
            run.late_days = (run.day(who.now) - run.day(run.pending)).days
        run.started, run.attempts = True, run.attempts + 1
        run.pending = run.due = None
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


def settle(who: Customer, run: Run, answer: str) -> None:
    """What the provider said of what is started."""
    exhausted = answer == "temporary" and run.attempts > len(AGAIN_AFTER)
    if exhausted or answer in ("accepted", "permanent", "unknown"):
        state = {"accepted": "sent", "unknown": "unknown"}.get(answer, "failed")
        run.over(state, "attempts_exhausted" if exhausted else answer, who.now)
    elif run.end is not None:
        run.write("cancelled", run.end, who.now)
        run.stop()
    else:
        _again(who, run, answer)


def _again(who: Customer, run: Run, answer: str) -> None:
    """Nobody has it for certain: it is pending once more, by the way that it went."""
    moved, channel = run.moved, run.channel
    run.stop()
    wait = AGAIN_AFTER[run.attempts - 1] if answer == "temporary" else timedelta(0)
    attempts = run.attempts - (answer == "not_handed_over")
    run.unschedule()
    if not run.held:
        assert channel is not None
        run.schedule_again(channel, attempts)
        if not moved:
            run.due = who.now + wait


def answer_late(run: Run, send: int, answer: str, *, exhausted: bool) -> None:
    """Of an attempt that is over: what was unknown is known now, and nothing else changes."""
    for index, line in enumerate(run.ledger):
        if line.send == send and line.state == "unknown" and answer != "unknown":
            state = "sent" if answer == "accepted" else "failed"
            rule = "attempts_exhausted" if exhausted else answer
            run.ledger[index] = line._replace(state=state, rule=rule)
