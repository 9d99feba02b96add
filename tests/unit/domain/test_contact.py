"""Addresses, numbers and places: normalised once, refused in words for a person."""

import re
import zoneinfo
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.contact import Country, Email, Language, Zone, normal_email, normal_number


@pytest.mark.parametrize(
    ("given_as", "normal"),
    [
        ("ann@example.org", "ann@example.org"),
        ("Ann.Lee+Bills@EXAMPLE.Org", "Ann.Lee+Bills@example.org"),
        ("ann@bücher.example", "ann@bücher.example"),
        ("ann@xn--bcher-kva.example", "ann@bücher.example"),
        ("u\u0308ber@example.org", "\u00fcber@example.org"),
    ],
)
def test_email_keeps_its_local_part_and_has_a_lower_case_unicode_domain(
    given_as: str, normal: str
) -> None:
    assert normal_email(given_as) == normal
    assert normal_email(normal) == normal


@pytest.mark.parametrize(
    "address",
    [
        *(
            "",
            "ann",
            "ann@",
            "@example.org",
            "ann@localhost",
            "ann@@example.org",
            "a b@example.org",
        ),
        *("Ann <ann@example.org>", "ann@example.org,bob@example.org", "ann@example.org\nBcc: x"),
        *("ann@[127.0.0.1]", f"a@{'b.' * 130}org", f"a@{'b' * 64}.org", "a\0b@example.org"),
        "ann@\u00aa\u2260secretword.example",
    ],
)
def test_what_is_no_email_address_is_refused_without_quoting_it(address: str) -> None:
    with pytest.raises(ValueError, match=r"^is not an email address: [A-Z]") as refused:
        normal_email(address)
    said = str(refused.value)
    assert "secretword" not in said
    assert "example.org" not in said


def answer(normal: Callable[..., str], *arguments: str | None) -> str:
    """What it is normalised to, or why it is refused."""
    try:
        return normal(*arguments)
    except ValueError as error:
        return str(error)


@given(st.text(max_size=40) | st.emails())
def test_any_text_is_an_email_address_or_refused(text: str) -> None:
    said = answer(normal_email, text)
    assert said.startswith("is not an email address") or normal_email(said) == said


@pytest.mark.parametrize(
    ("number", "country", "normal"),
    [
        ("+33 6 12 34 56 78", None, "+33612345678"),
        ("+33 (0)6 12.34-56 78", "DE", "+33612345678"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("0033 6 12 34 56 78", "FR", "+33612345678"),
        ("(415) 555-2671", "US", "+14155552671"),
        ("0171 1234567", "DE", "+491711234567"),
        ("+393331234567", None, "+393331234567"),
    ],
)
def test_number_is_in_e164_national_ones_by_their_country(
    number: str, country: str | None, normal: str
) -> None:
    assert normal_number(number, country) == normal
    assert normal_number(normal, country) == normal


@pytest.mark.parametrize(
    ("number", "country", "says"),
    [
        ("06 12 34 56 78", None, "or give the customer's country"),
        ("07911 123456", "UK", "or give the customer's country"),
        ("tomorrow", "FR", "write it with its country code"),
        ("", "FR", "write it with its country code"),
        ("+33 6 12", None, "too few or too many digits"),
        ("+33 6 12 34 56 78 90 12", None, "too few or too many digits"),
        ("253-0000", "US", "too few or too many digits"),
    ],
)
def test_what_is_no_number_is_refused_with_a_way_out(
    number: str, country: str | None, says: str
) -> None:
    """A number that can be dialled only locally (253-0000) reaches nobody from here."""
    with pytest.raises(ValueError, match=r"^is not a telephone number: ") as refused:
        normal_number(number, country)
    assert says in str(refused.value)
    assert number == "" or number not in str(refused.value)


@given(st.text(max_size=40), st.sampled_from([None, "FR", "US", "ZZ"]))
def test_any_text_is_a_number_or_refused(text: str, country: str | None) -> None:
    said = answer(normal_number, text, country)
    assert said.startswith("is not a telephone number") or re.fullmatch(r"\+[0-9]{3,18}", said)


def read(kind: Any, value: str) -> str:
    return str(TypeAdapter(kind).validate_python(value))


@pytest.mark.parametrize(
    ("kind", "value", "normal"),
    [
        (Country, " fr ", "FR"),
        (Country, "GB", "GB"),
        (Language, "FR", "fr"),
        (Language, " nds", "nds"),
        (Zone, "Europe/Paris", "Europe/Paris"),
        (Zone, "UTC", "UTC"),
        (Email, "Ann@EXAMPLE.org", "Ann@example.org"),
    ],
)
def test_place_and_language_are_normalised(kind: object, value: str, normal: str) -> None:
    assert read(kind, value) == normal
    assert read(kind, normal) == normal


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        *((Country, value, "is not a country's two letters") for value in ("F", "FRA", "ß", "F1")),
        *((Language, value, "is not a language's two or") for value in ("f", "fr-FR", "ф", "")),
        *(
            (Zone, value, "is not an IANA time zone, such as Europe/Paris")
            for value in (
                *(
                    "Mars/Phobos",
                    "Europe",
                    "",
                    "../../etc/passwd",
                    "/etc/localtime",
                    "europe/paris",
                ),
                *("localtime", "posixrules", "right/Europe/Paris", "a\0b", "x" * 5000, "zone.tab"),
            )
        ),
    ],
)
def test_what_is_no_place_or_language_is_refused_with_an_example(
    kind: object, value: str, says: str
) -> None:
    """`localtime` is a file on many machines: another clock on each of them."""
    with pytest.raises(ValidationError) as refused:
        read(kind, value)
    assert says in refused.value.errors()[0]["msg"]


def test_every_zone_of_the_database_is_known() -> None:
    known = zoneinfo.available_timezones() - {"localtime", "Factory"}
    assert [zone for zone in sorted(known) if read(Zone, zone) != zone] == []
