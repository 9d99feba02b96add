"""What every channel adapter offers. docs/channels.md tells how to add one."""

from typing import Protocol

from config.machine_time import Deadline
from domain.message import Message, Result


class ChannelAdapter(Protocol):
    """One configured provider.

    All methods run on one long-lived event loop. `hand_over` never raises for what a provider
    or a network does: it answers. It decides everything by `deadline` and leaves nothing in a
    socket after it: at the last byte that can be held back it checks the deadline once more.
    """

    name: str
    """For operators and the ledger: scheme and host, no credentials."""

    capacity: int
    """How many hand-overs may be open at once."""

    async def hand_over(self, message: Message, deadline: Deadline) -> Result:
        """Give one message to the provider and say what became of it."""

    async def check(self) -> str:
        """Say in a few words that it is usable; raises ChannelError that says what to do."""

    async def close(self) -> None:
        """Close idle connections."""


class ChannelError(Exception):
    """A channel is set up wrongly or can't be reached; the message says what to do."""
