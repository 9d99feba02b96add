"""How many customers a plan holds, and what is left of it while a command is applied."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile

from domain.refusal import Refusal

DIRECTORY_TIMES_ACTIVE = 5
"""The directory limit is this many times the active limit, unless the plan says otherwise."""


@dataclass
class Room:
    """What an account's plan has free, counted down while one transaction decides.

    The counters table has the last word: it is updated by the deltas, last before the commit, on
    condition that they still fit.
    """

    active_used: int
    active_limit: int
    directory_used: int
    directory_limit: int
    active_delta: int = 0
    directory_delta: int = 0

    def take_active(self) -> bool:
        """Count one more active customer, if the plan has room."""
        if self.active_used + self.active_delta >= self.active_limit:
            return False
        self.active_delta += 1
        return True

    def take_directory(self) -> bool:
        """Count one more customer in the directory, if the plan has room."""
        if self.directory_used + self.directory_delta >= self.directory_limit:
            return False
        self.directory_delta += 1
        return True

    def take_active_for(self, customers: int, *, whole: bool) -> int:
        """Count as many more active customers as there is room for; `whole`: all or none."""
        return self._take(customers, whole=whole, take=self.take_active)

    def take_directory_for(self, customers: int, *, whole: bool) -> int:
        """The same for the directory."""
        return self._take(customers, whole=whole, take=self.take_directory)

    def _take(self, customers: int, *, whole: bool, take: Callable[[], bool]) -> int:
        before = self.active_delta, self.directory_delta
        taken = sum(1 for _ in takewhile(bool, (take() for _ in range(customers))))
        if whole and taken < customers:
            self.active_delta, self.directory_delta = before
            return 0
        return taken

    def leave_active(self) -> None:
        self.active_delta -= 1

    def leave_directory(self) -> None:
        self.directory_delta -= 1

    def active_full(self, customer: str, doing: str) -> Refusal:
        return Refusal(
            "active_limit",
            f"Cannot {doing} customer {customer}: all {self.active_limit} active places of the "
            "plan are taken. Move an active customer to the directory, or take a larger plan.",
        )

    def directory_full(self, customer: str, doing: str, consequence: str = "") -> Refusal:
        return Refusal(
            "directory_limit",
            f"Cannot {doing} customer {customer}: all {self.directory_limit} places of the "
            f"directory are taken.{consequence} Purge customers in reserve, activate some, or take "
            "a larger plan.",
        )
