"""The one way to wait here: for a condition, with a bound."""

import time
from collections.abc import Callable
from typing import TypeVar

from config.machine_time import Deadline

T = TypeVar("T")

_LOOK_EVERY_SECONDS = 0.02


def until(look: Callable[[], T], what: str, seconds: float = 20) -> T:
    """Look again and again until there is something; returns it. Fails once time is up."""
    found = comes(look, seconds)
    assert found, f"not within {seconds:g} s: {what}"
    return found


def comes(look: Callable[[], T], seconds: float) -> T:
    """The same, but returns what is false if time is up."""
    deadline = Deadline.after(seconds)
    while not (found := look()) and not deadline.passed:
        time.sleep(_LOOK_EVERY_SECONDS)
    return found
