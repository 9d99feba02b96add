"""What is known of a customer."""

import math
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from domain.contact import Country, Email, Language, Zone, normal_number

Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
LONGEST_VALUE = 2000
LARGEST_NUMBER = 2**53 - 1


def _plain(value: object) -> object:
    # Before the union, which would answer once for each of its types, and take a text that is too
    # long for a number.
    if not isinstance(value, (str, int, float)):
        raise ValueError("is a text, a number, true or false; not null, a list or an object")  # noqa: TRY004 - pydantic's way
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        raise ValueError(f"is longer than {LONGEST_VALUE:,} characters")
    return value if isinstance(value, (str, bool)) else _number(value)


def _number(value: float) -> float:
    # Doors write numbers differently (jsonb makes 100 of 1e2), so what counts is the value, and
    # only as far as every reader of JSON agrees on it (RFC 7493, section 2.2).
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("is not a finite number")
    if abs(value) > LARGEST_NUMBER:
        raise ValueError(f"is a number beyond ±{LARGEST_NUMBER:,}: write it as a text")
    return int(value) if value == int(value) else value


Value = Annotated[
    Annotated[str, StringConstraints(max_length=LONGEST_VALUE)] | int | float | bool,
    BeforeValidator(_plain),
]
Values = Annotated[
    dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,49}$")], Value],
    Field(max_length=100),
]
"""What templates can say besides the profile: `{{ amount }}`."""


class Profile(BaseModel):
    """A customer's details, normalised. Unset fields of an update leave what is there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name | None = None
    email: Email | None = None
    country: Country | None = None
    phone: Annotated[str, StringConstraints(strip_whitespace=True, max_length=40)] | None = None
    zone: Zone | None = None
    language: Language | None = None
    values: Values = Field(default_factory=dict)

    @field_validator("phone")
    @classmethod
    def _number_in_e164(cls, phone: str | None, info: ValidationInfo) -> str | None:
        return None if phone is None else normal_number(phone, info.data.get("country"))

    def changes(self) -> dict[str, object]:
        """The fields that were given, by column name."""
        return {field: getattr(self, field) for field in self.model_fields_set}
