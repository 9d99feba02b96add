"""A channel that takes every message at once and delivers none: what is measured is the engine.

Not a scheme of LAYBY_EMAIL_URL: a ledger that says `sent` of what went nowhere must not be one
setting away. See docs/benchmarks.md.
"""

from config.machine_time import Deadline
from domain.message import Answer, Message, Result

_TAKEN = Result(Answer.ACCEPTED, "taken and dropped", "null")


class NullChannel:
    """Has room for `capacity` hand-overs at once, as every channel has some bound."""

    name = "null"

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity

    async def hand_over(self, message: Message, deadline: Deadline) -> Result:
        del message, deadline
        return _TAKEN

    async def check(self) -> str:
        return "takes everything, delivers nothing"

    async def close(self) -> None:
        """Nothing is open."""
