"""Customers named by what is true of them, instead of one by one."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.journey import Place, Status
from domain.schedule import ScheduleName

_LONGEST = timedelta(days=36_500)


class Filter(BaseModel):
    """All conditions must hold; at least one is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: Place | None = None
    status: Status | None = None
    """Of active customers."""
    schedule: ScheduleName | None = None
    """On this schedule now, in whichever version."""
    idle_for: Annotated[timedelta, Field(gt=timedelta(0), le=_LONGEST)] | None = None
    """No fact was recorded since, and the customer was neither added nor made active since."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.conditions:
            raise ValueError(
                "has no condition, and a command for everybody is easily sent by mistake: give "
                f"{', '.join(type(self).model_fields)}, or several"
            )
        return self

    @property
    def conditions(self) -> dict[str, object]:
        """What is asked, by name."""
        return {
            name: getattr(self, name)
            for name in type(self).model_fields
            if getattr(self, name) is not None
        }
