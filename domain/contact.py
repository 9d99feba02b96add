"""Addresses, numbers and places, normalised once, where they come in."""

import re
from typing import Annotated
from zoneinfo import ZoneInfo

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, StringConstraints


def normal_email(address: str) -> str:
    """Lower-case domain, Unicode normalised; raises ValueError in words for a person.

    Syntax only (RFC 5321, 5322, 6531): nothing is looked up.
    """
    try:
        return validate_email(address, check_deliverability=False).normalized
    except EmailNotValidError as error:
        # What follows a colon or a bracket quotes the address.
        reason = re.sub(r"(: | \().*", "", str(error)).removesuffix(".")
        raise ValueError(f"is not an email address: {reason}") from None


def normal_number(number: str, country: str | None) -> str:
    """A number in E.164; a national one needs its country. Raises ValueError."""
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        raise ValueError(
            "is not a telephone number: write it with its country code, as in +33 6 12 34 56 78, "
            "or give the customer's country, as in FR"
        ) from None
    # A number that can be dialled only locally is possible too, and nobody else reaches it.
    possible = phonenumbers.is_possible_number_with_reason(parsed)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError("is not a telephone number: it has too few or too many digits")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _known_zone(zone: str) -> str:
    try:
        if not zone.startswith(_OF_THIS_MACHINE):
            return ZoneInfo(zone).key
    except (LookupError, OSError, ValueError):
        pass
    raise ValueError("is not an IANA time zone, such as Europe/Paris")


_OF_THIS_MACHINE = ("localtime", "posixrules", "Factory", "posix/", "right/")
"""Names that one machine's files have and another's don't, or that mean another clock there."""


def _two_letters(code: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2}", code):
        raise ValueError("is not a country's two letters, such as FR")
    return code.upper()


def _two_or_three_letters(code: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,3}", code):
        raise ValueError("is not a language's two or three letters, such as fr")
    return code.lower()


Email = Annotated[str, AfterValidator(normal_email)]
Zone = Annotated[str, AfterValidator(_known_zone)]
Country = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    AfterValidator(_two_letters),
    Field(json_schema_extra={"pattern": "^[A-Za-z]{2}$"}),
]
Language = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    AfterValidator(_two_or_three_letters),
    Field(json_schema_extra={"pattern": "^[A-Za-z]{2,3}$"}),
]
