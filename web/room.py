"""Room for bodies: each is bounded, and so is what this process holds of all of them."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from domain.commands import MAX_BYTES
from web.problems import unavailable

ROOM_BYTES = 8 * MAX_BYTES

Take = Callable[[int], None]
"""Counts so many more bytes of a body; raises ProblemError where there is no room for them."""


class Room:
    """Counted as bodies come in, on the event loop alone. No account has more than half of it."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    @contextmanager
    def share(self, account: str) -> Iterator[Take]:
        """What a body takes inside the block is free again after it."""
        taken = 0

        def take(count: int) -> None:
            nonlocal taken
            if (
                self._held.total() + count > ROOM_BYTES
                or self._held[account] + count > ROOM_BYTES // 2
            ):
                raise unavailable(
                    "Too much comes in at once; nothing of this request was accepted. Send it "
                    "again in a moment.",
                    name="busy",
                )
            self._held[account] += count
            taken += count

        try:
            yield take
        finally:
            self._held[account] -= taken
            if not self._held[account]:
                del self._held[account]
