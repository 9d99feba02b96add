"""What is known of a customer: only what was given changes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.mistakes import in_words
from domain.profile import LARGEST_NUMBER, LONGEST_VALUE, Profile

GIVEN = {
    "name": "Ann Lee",
    "email": "ann@example.org",
    "country": "FR",
    "phone": "+33612345678",
    "zone": "Europe/Paris",
    "language": "fr",
    "values": {"amount": "12.50"},
}


@given(st.sets(st.sampled_from(sorted(GIVEN))), st.sets(st.sampled_from(sorted(GIVEN))))
def test_changes_are_the_fields_given_with_explicit_nulls(
    fields: set[str], nulls: set[str]
) -> None:
    """`"phone": null` clears a number; a field left out stays as it is."""
    wanted: dict[str, Any] = {field: GIVEN[field] for field in fields}
    wanted |= dict.fromkeys(nulls - {"values"})
    profile = Profile.model_validate(wanted)
    assert profile.changes() == wanted
    stored = profile.model_dump_json(exclude_unset=True)
    assert Profile.model_validate_json(stored).changes() == wanted


def test_changes_of_nothing_are_none() -> None:
    assert Profile().changes() == {}


def test_national_number_takes_the_country_beside_it_in_any_order() -> None:
    for given_as in (
        {"phone": "06 12 34 56 78", "country": "fr"},
        {"country": "fr", "phone": "06 12 34 56 78"},
    ):
        changed = Profile.model_validate(given_as).changes()
        assert changed == {"country": "FR", "phone": "+33612345678"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"phone": "06 12 34 56 78"}, "phone: is not a telephone number: write it with"),
        ({"email": "ann"}, "email: is not an email address: An email address must have an @-sign"),
        ({"nickname": "Ann"}, "nickname: is not a field here"),
        ({"values": None}, "values: is not a JSON object"),
        ({"values": {"a": [1]}}, "values.a: is a text, a number, true or false; not null"),
        ({"values": {"a": None}}, "values.a: is a text, a number, true or false; not null"),
        ({"values": {"a": float("nan")}}, "values.a: is not a finite number"),
        ({"values": {"a": 2**53}}, "values.a: is a number beyond ±9,007,199,254,740,991: write it"),
        ({"values": {"a": -(2.0**53)}}, "values.a: is a number beyond ±9,007,199,254,740,991"),
        ({"values": {"a": 10**400}}, "values.a: is a number beyond ±9,007,199,254,740,991"),
        ({"values": {"a": "x" * 2001}}, "values.a: is longer than 2,000 characters"),
        ({"values": {"a": "1" * 2001}}, "values.a: is longer than 2,000 characters"),
        ({"values": {"pause": []}}, "values.pause: is a text"),
        ({"values": {"Amount": 1}}, "values.Amount: must begin with a small letter"),
        ({"values": {"ann@example.org": 1}}, "values.…: must begin with a small letter"),
        ({"values": {f"a{n}": n for n in range(101)}}, "values: has more than 100"),
        ({"name": "x" * 201}, "name: is longer than 200 characters"),
    ],
)
def test_wrong_detail_is_refused_by_the_name_of_its_field(
    wrong: dict[str, object], says: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        Profile.model_validate(wrong)
    assert in_words(refused.value).startswith(says)


NUMBERS: dict[str, Any] = {"min_value": -LARGEST_NUMBER, "max_value": LARGEST_NUMBER}


@given(
    st.one_of(
        st.text(max_size=LONGEST_VALUE),
        st.integers(**NUMBERS),
        st.booleans(),
        st.floats(**NUMBERS).filter(lambda number: number != int(number)),
    )
)
def test_value_keeps_its_type(value: object) -> None:
    """`"amount": "007"` stays a text, and true is not 1."""
    kept = Profile.model_validate({"values": {"a": value}}).values["a"]
    assert (type(kept), kept) == (type(value), value)


@given(st.integers(**NUMBERS))
def test_whole_number_is_the_same_however_it_is_written(number: int) -> None:
    """JSON has one kind of number, and doors write them differently: 1e2, 100.0, 100."""
    kept = Profile.model_validate({"values": {"a": float(number)}}).values["a"]
    assert (type(kept), kept) == (int, number)
