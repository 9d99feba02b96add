"""A bell for tests that ring and do not deliver."""

from collections.abc import Iterable

from workers.broker import Ring


class CountingBell:
    """A bell that remembers for which accounts it was rung."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, rings: Iterable[Ring]) -> int:
        accounts = [one.account for one in rings]
        self.rung += accounts
        return len(accounts)
