"""One transaction's work on the customers it holds: read first, written last."""

from dataclasses import dataclass, field
from typing import Any

from domain.customer import CustomerState
from domain.quota import Room
from domain.refusal import Refusal
from storage.accounts import Account
from storage.database import Connection
from storage.journal import Entry
from storage.lines import Line


@dataclass
class Work:
    """Handlers decide and change; what they say of each customer is collected here."""

    connection: Connection
    account: Account
    room: Room
    entries: list[Entry] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    erased: dict[str, int] = field(default_factory=dict)
    """Who is gone, with the last command that is erased with it (`workers/erasing.py`)."""

    def applied(
        self,
        seq: int,
        state: CustomerState,
        event: str,
        *,
        cancelled: int = 0,
        open: tuple[int, ...] | None = None,  # noqa: A002 - the outcome's word
        **data: Any,
    ) -> None:
        """Count a customer as applied, and journal what happened."""
        if cancelled:
            data["cancelled"] = cancelled
        if open:
            data["started"] = len(open)
        self.lines.append(Line(state.customer, seq, "applied", cancelled=cancelled, open=open))
        self.entries.append(Entry(state.customer, event, data, seq))

    def refused(
        self,
        seq: int,
        state: CustomerState,
        refusal: Refusal,
        *,
        superseded: bool = False,
        cancelled: int = 0,
        open: tuple[int, ...] | None = None,  # noqa: A002 - the outcome's word
    ) -> None:
        """Count a customer as refused (or superseded), with the reason."""
        self.lines.append(
            Line(
                state.customer,
                seq,
                "superseded" if superseded else "refused",
                refusal.code,
                refusal.message,
                cancelled,
                open,
            )
        )
