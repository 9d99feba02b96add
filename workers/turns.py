"""Turns: how accounts share a delivery process.

A ring waits in the order of the bell, and a turn is bounded, so an account waits for one turn of
each other account at most, however much those have due.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from channels.protocol import ChannelAdapter
from config.machine_time import Deadline
from domain.message import Message
from workers.desk import Answered, Desk

TURN_SENDS = 1000
"""Sends that one turn of an account starts at most."""

TURN_SECONDS = 2
"""And how long it goes on starting them."""


class Turn:
    """One account's turn at a desk: the desk as this account sees it."""

    def __init__(self, desk: Desk, account: str) -> None:
        self.patience = Deadline.after(TURN_SECONDS)
        self._desk = desk
        self._account = account
        self._left = TURN_SENDS

    @property
    def over(self) -> bool:
        """Whether it is the others' turn."""
        return not self._left or self.patience.passed

    @property
    def adapter(self) -> ChannelAdapter:
        return self._desk.adapter

    def reserve(self, most: int, patience: Deadline) -> int:
        """Room for what may be started; what is reserved is counted, used or not."""
        room = self._desk.reserve(min(most, self._left), patience, self._account)
        self._left -= room
        return room

    def give_back(self, count: int) -> None:
        self._desk.give_back(count, self._account)

    def hand_over(
        self, messages: Sequence[tuple[int, Message]], deadline: Deadline
    ) -> Iterator[list[Answered]]:
        return self._desk.hand_over(messages, deadline, self._account)


THREADS = 3
"""Of each queue in each process; a queue's threads serve no other, and wait for no other."""


class Seats:
    """The threads of one queue in this process: one account never takes them all."""

    def __init__(self, threads: int = THREADS) -> None:
        self._most = max(1, threads - 1)
        self._taken: dict[str, int] = {}
        self._changed = threading.Lock()

    @contextmanager
    def seat(self, account: str) -> Iterator[bool]:
        """A thread for an account; False: it has as many as it may, and each of them goes on."""
        with self._changed:
            free = self._taken.get(account, 0) < self._most
            if free:
                self._taken[account] = self._taken.get(account, 0) + 1
        try:
            yield free
        finally:
            if free:
                self._leave(account)

    def _leave(self, account: str) -> None:
        with self._changed:
            self._taken[account] -= 1
            if not self._taken[account]:
                del self._taken[account]
