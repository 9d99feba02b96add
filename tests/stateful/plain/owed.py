"""What is owed, by all that was told: docs/facts.md, "Paid in full, or in part"."""

from decimal import Decimal
from typing import Any


class Owed:
    def __init__(self) -> None:
        self.facts: list[dict[str, Any]] = []

    def tell(self, fact: dict[str, Any]) -> None:
        self.facts.append(fact)

    def last(self, reference: str, detail: str) -> Any:
        """What the invoice said last of its amount or due date."""
        given = [one[detail] for one in self._told("invoice", reference) if detail in one]
        return given[-1] if given else None

    def settled(self, reference: str | None) -> bool:
        """An invoice that is known to be paid."""
        if reference is None or not self._told("invoice", reference):
            return False
        for one in self._told("payment", reference):
            if one.get("full") or ("full" not in one and "amount" not in one):
                return True
        owed = self.last(reference, "amount")
        return owed is not None and self._paid(reference) >= Decimal(owed)

    def in_full(self, payment: dict[str, Any]) -> bool:
        """One that is not told yet."""
        reference = payment.get("reference")
        owed = None if reference is None else self.last(reference, "amount")
        if payment.get("full") is True or owed is None or "amount" not in payment:
            return payment.get("full") is not False
        return self._paid(reference) + Decimal(payment["amount"]) >= Decimal(owed)

    def _told(self, fact: str, reference: str | None) -> list[dict[str, Any]]:
        return [
            one for one in self.facts if one["fact"] == fact and one.get("reference") == reference
        ]

    def _paid(self, reference: str | None) -> Decimal:
        paid = self._told("payment", reference)
        return sum((Decimal(one["amount"]) for one in paid if "amount" in one), Decimal(0))
