"""What is known of a customer."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from domain.contact import Country, Email, Language, Zone, normal_number

Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
Value = Annotated[str, StringConstraints(max_length=2000)] | int | float | bool
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
    phone: Annotated[str, StringConstraints(strip_whitespace=True, max_length=40)] | None = None
    country: Country | None = None
    zone: Zone | None = None
    language: Language | None = None
    values: Values = Field(default_factory=dict)

    @model_validator(mode="after")
    def _number_in_e164(self) -> Self:
        if self.phone is not None:
            object.__setattr__(self, "phone", normal_number(self.phone, self.country))
        return self

    def changes(self) -> dict[str, object]:
        """The fields that were given, by column name."""
        return {field: getattr(self, field) for field in self.model_fields_set}
