"""Addresses, numbers and places, normalised once, where they come in."""

import re
from typing import Annotated
from zoneinfo import ZoneInfo

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, StringConstraints


def normal_email(address: str) -> str:
    """Lower-case domain, Unicode normalised; raises ValueError in words for a person.

    Syntax only (RFC 5321, 5322, 6531): nothing is looked up.
    """
    try:
        return validate_email(address, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(f"is not an email address: {error}") from None


def normal_number(number: str, country: str | None) -> str:
    """A number in E.164; a national one needs its country. Raises ValueError."""
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        raise ValueError(
            "is not a telephone number: write it with its country code, as in +33 6 12 34 56 78, "
            "or give the country"
        ) from None
    if not phonenumbers.is_possible_number(parsed):
        raise ValueError("is not a telephone number: it has too few or too many digits")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _known_zone(zone: str) -> str:
    try:
        return ZoneInfo(zone).key
    except (LookupError, OSError, ValueError):
        raise ValueError("is not an IANA time zone, such as Europe/Paris") from None


Email = Annotated[str, AfterValidator(normal_email)]
Zone = Annotated[str, AfterValidator(_known_zone)]
Country = Annotated[
    str,
    StringConstraints(to_upper=True, strip_whitespace=True, pattern=re.compile(r"^[A-Za-z]{2}$")),
]
Language = Annotated[
    str,
    StringConstraints(to_lower=True, strip_whitespace=True, pattern=re.compile(r"^[A-Za-z]{2,3}$")),
]
