"""What consent forbids: the gate's rule, and what it leaves of a schedule."""

from collections.abc import Iterable, Sequence

from domain.decision import Facts, Skip
from domain.message import Channel
from domain.step import Step
from domain.suppression import Suppression


def consent(facts: Facts) -> Skip | None:
    """Nobody is written to who is blocked, has opted out or is suppressed.

    CAN-SPAM, 15 U.S.C. 7704(a)(4); TCPA, 47 CFR 64.1200(a)(10); GDPR, articles 7(3) and 21(3).
    """
    for one in facts.suppressions:
        if one.channel is facts.step.channel:
            return Skip("consent", one.reason, by_channel=True)
    return None


def channels_of(step: Step) -> tuple[Channel, ...]:
    """The ways that a step can go."""
    return (step.channel,) if step.fallback is None else (step.channel, step.fallback.channel)


def closes(step: Step, schedule: str, found: Iterable[Suppression]) -> bool:
    """Whether these leave a step no way to go."""
    forbidding = tuple(found)
    return all(
        any(one.forbids(channel, schedule) for one in forbidding) for channel in channels_of(step)
    )


def closes_all(steps: Sequence[Step], schedule: str, found: Iterable[Suppression]) -> bool:
    """Whether these leave no step of them a way to go."""
    forbidding = tuple(found)
    return all(closes(step, schedule, forbidding) for step in steps)
