"""Blocked, opted out: what it takes away, and what goes on. docs/consent.md."""

from stateful.plain.customer import REFUSED, Came, Customer
from stateful.plain.run import Run
from stateful.plain.words import CHANNELS


def silence(who: Customer, kind: str, channel: str | None = None, schedule: str = "") -> Came:
    channels = [channel] if channel else list(CHANNELS)
    who.words.of_customer(kind, who.name, who.at, channels, schedule)
    return take_out(who, kind, channels, schedule)


def silence_recipient(
    everybody: list[Customer], kind: str, channel: str, target: str, schedule: str = ""
) -> Came:
    """Of an address or a number: of whoever has it."""
    who = [one for one in everybody if one.at.get(channel) == target]
    everybody[0].words.of_recipient(kind, channel, target, schedule)
    came = [take_out(one, kind, [channel], schedule) for one in who]
    return Came("applied", sum(one.cancelled for one in came), sum(one.started for one in came))


def take_out(who: Customer, kind: str, channels: list[str], schedule: str) -> Came:
    cancelled = opened = 0
    for run in [run for run in who.runs if schedule in ("", run.schedule)]:
        by_this = run.started and run.channel in channels
        if run.end is None and not who.any_way(run.schedule, run.coming):
            came = who.end([run], kind)
            cancelled, opened = cancelled + came.cancelled, opened + came.started
        else:
            opened += by_this
            if run.pending:
                cancelled += _pass_over(who, run, kind)
    return Came("applied", cancelled, opened)


def _pass_over(who: Customer, run: Run, kind: str) -> int:
    """On to the next step that may be sent."""
    passed = 0
    while not who.any_way(run.schedule, [run.step]):
        run.over("cancelled", kind, who.now)
        passed += 1
    return passed


def lift(who: Customer, kind: str, channel: str | None = None, schedule: str | None = None) -> Came:
    channels = [channel] if channel else list(CHANNELS)
    lifted = who.words.lift_of_customer(kind, who.name, who.at, channels, schedule)
    return Came() if lifted else REFUSED


def lift_recipient(
    everybody: list[Customer], kind: str, channel: str, target: str, schedule: str | None = None
) -> Came:
    """It is what was wanted, even if there was nothing to lift."""
    who = [one.name for one in everybody if one.at.get(channel) == target]
    everybody[0].words.lift_of_recipient(kind, channel, target, who, schedule)
    return Came()
