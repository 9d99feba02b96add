"""What a check is, and what it found."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Row

ONLY_READ = (
    "The ledger is proof: leave it as it is. Look at `layby explain CUSTOMER` for how it came to "
    "be, and report it."
)


@dataclass(frozen=True)
class Check:
    """One question to the database, and the statement that finds whatever answers it badly."""

    guarantee: str
    """G1 to G9 of the design, or `bookkeeping`."""
    name: str
    question: str
    """In plain words; yes is good."""
    over: str
    """The table whose rows it looks at."""
    sql: str
    """Selects `account, customer, detail` of each row that is wrong; with `judge`, what that
    needs instead of `detail`."""
    remedy: str
    """What to do about it."""
    warning: bool = False
    """It reads wall clocks, or only says that a process seems to be missing: nothing is broken."""
    among: str = "true"
    """A condition on the rows of `over`: it looks at no others."""
    judge: Callable[[Row[tuple[object, ...]]], str | None] | None = None
    """For what SQL can't tell: the detail of what is wrong with a row, or None."""


class Violation(NamedTuple):
    """One thing that is wrong. No customer: it concerns a command, the account or the schema."""

    account: str | None
    customer: str | None
    detail: str


@dataclass(frozen=True)
class CheckResult:
    """What a check looked at and found. `violations` has the first ones, `found` counts all."""

    check: Check
    checked: int
    found: int
    violations: tuple[Violation, ...]

    @property
    def broken(self) -> bool:
        """Whether a guarantee is; a warning never means that."""
        return self.found > 0 and not self.check.warning
