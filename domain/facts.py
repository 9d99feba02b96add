"""What upstream systems know of a customer: recorded once, never changed, never superseded."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from domain.moments import Day, Moment

Reference = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
"""What a run of a schedule is about: an invoice, a booking. Empty: those without a reference."""

Amount = Annotated[str, StringConstraints(pattern=r"^\d{1,15}(\.\d{1,4})?$")]
"""An exact decimal, as text: a JSON number would be rounded on its way."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217."""


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Invoice(_Fact):
    """A debt, by its reference. One of the same reference later changes what it gives."""

    fact: Literal["invoice"]
    reference: Annotated[Reference, Field(min_length=1)]
    amount: Amount | None = None
    currency: Currency | None = None
    due_date: Day | None = None

    @model_validator(mode="after")
    def _an_amount_is_of_a_currency(self) -> Self:
        if (self.amount is None) is not (self.currency is None):
            raise ValueError("has an amount without a currency, or the reverse: give both or none")
        return self


class Payment(_Fact):
    """Money received, for one reference or (none given) for all that the customer owes.

    `full` unsaid: by the sum of what was paid, where the invoice's amount and this one are known;
    else in full.
    """

    fact: Literal["payment"]
    full: bool | None = None
    reference: Reference | None = None
    amount: Amount | None = None
    currency: Currency | None = None
    """None: the invoice's."""
    paid_at: Moment | None = None

    @model_validator(mode="after")
    def _is_of_something(self) -> Self:
        if self.amount is not None and not Decimal(self.amount) and self.full is not True:
            raise ValueError(
                'is of nothing: give what was paid, or "full": true if nothing is owed any more'
            )
        return self


class Promise(_Fact):
    """The customer will pay by the end of a day. Another one for the same replaces it."""

    fact: Literal["promise"]
    until: Day
    """The last day in time, where the customer is."""
    reference: Reference | None = None
    amount: Amount | None = None
    """Kept once so much has been paid; None: once anything has."""
    currency: Currency | None = None
    """None: the invoice's."""


class DisputeOutcome(StrEnum):
    """How a dispute ended."""

    UPHELD = "upheld"
    """The customer is right: nothing is owed."""
    REJECTED = "rejected"
    """It is owed."""


class Dispute(_Fact):
    """The customer contests a debt, or (with an outcome) does so no longer."""

    fact: Literal["dispute"]
    reference: Reference | None = None
    outcome: DisputeOutcome | None = None
    """None: it is opened. A dispute is closed as it was opened: with its reference, or without."""


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Interaction(_Fact):
    """A person's word: the customer's (inbound), which waits for a person, or ours."""

    fact: Literal["interaction"]
    direction: Direction
    channel: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")] | None = None
    reference: Reference | None = None


class Note(_Fact):
    """What a person wants to be remembered. It changes no schedule."""

    fact: Literal["note"]
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
    reference: Reference | None = None


Fact = Annotated[
    Invoice | Payment | Promise | Dispute | Interaction | Note, Field(discriminator="fact")
]


class Debt(NamedTuple):
    """What is known of one reference of a customer."""

    invoiced: bool = False
    amount: Decimal | None = None
    currency: str | None = None
    due_date: date | None = None
    paid: Decimal = Decimal(0)
    """The sum of the amounts that payments gave, but for those in another currency."""
    said_full: bool = False
    """A payment said so, or gave no amount."""

    @property
    def settled(self) -> bool:
        """Nothing is owed any more of an invoice."""
        return self.invoiced and (
            self.said_full or (self.amount is not None and self.paid >= self.amount)
        )


def is_in_full(payment: Payment, debt: Debt) -> bool:
    """Whether nothing is owed any more once this is paid.

    >>> owed = Debt(True, Decimal("120.00"), "EUR", paid=Decimal("70.00"))
    >>> is_in_full(Payment(fact="payment", amount="50.00", full=False), owed)
    True
    """
    if payment.full or payment.amount is None or debt.amount is None:
        return payment.full is not False
    return debt.paid + Decimal(payment.amount) >= debt.amount


def is_other_currency(fact: Payment | Promise, debt: Debt) -> bool:
    """Whether an amount can't be added up with the invoice's. A payment in full need not be."""
    if fact.amount is None or None in (fact.currency, debt.currency):
        return False
    return fact.currency != debt.currency and not (isinstance(fact, Payment) and fact.full)
