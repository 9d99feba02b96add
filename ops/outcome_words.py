"""Outcomes as a person reads them, or as a program does."""

import json as json_
from datetime import datetime

from ops.screen import screen
from storage.outcomes import Outcome

_REFUSALS = 10
"""Of one command: whoever reads a list of commands is not to look for the next one."""


def print_outcomes(results: list[Outcome], as_json: bool) -> None:
    """Each on a line with the first reasons, or as JSON: one object, or a list of several.

    Ids are given once in an account: of several accounts, each line names its own.
    """
    if as_json:
        shown = [json_.loads(result.model_dump_json()) for result in results]
        screen.json(shown[0] if len(shown) == 1 else shown)
        return
    several = len({result.account for result in results}) > 1
    for result in results:
        of = f"{result.account or '(none)'}  " if several else ""
        screen.say(of + in_words(result))
        shown = result.refusals[:_REFUSALS]
        for line in shown:
            screen.say(f"  {line.message}")
        more = result.refused + result.superseded - len(shown)
        if more > 0:
            screen.say(f"  and {more:,} more: layby command show {result.id} --refusals")


def in_words(outcome: Outcome) -> str:
    """One line on an outcome."""
    words = [f"{outcome.id}  {outcome.kind}  {outcome.state.value}"]
    if outcome.targets > 1:
        words.append(f"{outcome.applied:,} of {outcome.targets:,} applied")
    words += [
        f"{number} {name}"
        for name in ("cancelled", "started", "unknown")
        if (number := getattr(outcome, name))
    ]
    if outcome.quiet_at:
        words.append(f"quiet since {spoken_moment(outcome.quiet_at)}")
    return ", ".join(words)


def spoken_moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} {at:%Z}".strip()
