"""Days and moments as commands bring them: aware, and in times that can be reckoned with."""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def in_our_times(when: date) -> date:
    """The same, or ValueError."""
    # Further out, arithmetic overflows in Python or in the database's driver.
    if not 1900 <= when.year < 2200:  # noqa: PLR2004 - the message says them
        raise ValueError("is not between the years 1900 and 2199")
    return when


Moment = Annotated[AwareDatetime, AfterValidator(in_our_times)]
Day = Annotated[date, AfterValidator(in_our_times)]
