"""The one way to wait here: for a condition, with a bound."""

import time
from collections.abc import Callable
from typing import TypeVar

from config.machine_time import Deadline

T = TypeVar("T")

_LOOK_EVERY_SECONDS = 0.02


def until(look: Callable[[], T], what: str, seconds: float = 20) -> T:
    """Look again and again until there is something; returns it. Fails once time is up."""
    deadline = Deadline.after(seconds)
    while not (found := look()):
        assert not deadline.passed, f"not within {seconds:g} s: {what}"
        time.sleep(_LOOK_EVERY_SECONDS)
    return found
