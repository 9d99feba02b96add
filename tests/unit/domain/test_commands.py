"""Reading commands: whatever comes through a door is a command, or refused without its values."""

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain.commands import (
    MAX_BYTES,
    AddCustomer,
    Command,
    ConsentCommand,
    CustomerCommand,
    PutAccount,
    UnreadableCommandError,
    read_command,
)
from domain.journey import Kind, Place
from domain.mistakes import PATTERNS

SECRET = "Zq7Xk2"
"""Part of every given value below: no message may say it."""

DEFINITIONS: dict[str, dict[str, Any]] = {
    "schedule": {
        "anchor": "due_date",
        "steps": [{"offset": "P3D", "at": "09:30", "channel": "email", "template": "hello"}],
        "window": {"weekdays": ["mon", "fri"], "from": "09:00", "until": "18:00"},
        "repeat": {"every": "P7D", "times": 2},
        "holidays": {"country": "DE", "subdivision": "BY", "days": ["2026-12-24"]},
    },
    "template": {
        "channel": "email",
        "default_language": "en",
        "texts": {"en": {"subject": "Hello", "text": "Dear {{ name }}"}},
    },
}
GOOD: dict[Kind, dict[str, Any]] = {
    Kind.PUT_ACCOUNT: {
        "active_limit": 100,
        "zone": "Europe/Paris",
        "country": "fr",
        "language": "FR",
        "email_from": "Acme <billing@acme.example>",
        "test_clock": "2026-01-05T08:00:00Z",
    },
    Kind.PUT_SCHEDULE: {"schedule": "dunning", "definition": DEFINITIONS["schedule"]},
    Kind.PUT_TEMPLATE: {"template": "hello", "definition": DEFINITIONS["template"]},
    Kind.ADD_CUSTOMER: {
        "customers": ["c-17"],
        "place": "active",
        "profile": {
            "name": " Ann ",
            "email": "Ann@EXAMPLE.org",
            "phone": "06 12 34 56 78",
            "country": "fr",
            "values": {"amount": 12.5, "vip": True, "count": 3, "plan": "gold"},
        },
    },
    Kind.IMPORT_CUSTOMERS: {
        "csv": "customer,name\nc-17,Ann\n",
        "first_row": 7,
        "all_or_none": True,
    },
    Kind.UPDATE_CUSTOMER: {"customers": ["c-17"], "profile": {"phone": None}},
    Kind.ACTIVATE: {"customers": ["c-17", "c-18"]},
    Kind.REACTIVATE: {"customers": ["c-17"]},
    Kind.MOVE_TO_DIRECTORY: {"customers": ["c-17"], "if_full": "refuse"},
    Kind.PURGE: {"customers": ["c-17"]},
    Kind.REDACT: {"customers": ["c-17", "c-18"]},
    Kind.PAUSE: {"customers": ["c-17"]},
    Kind.RESUME: {"customers": {"status": "late", "idle_for": "P180D"}},
    Kind.ASSIGN_SCHEDULE: {
        "customers": ["c-17"],
        "schedule": "dunning",
        "reference": "INV-1",
        "due_date": "2026-12-01",
        "values": {"amount": "12.50"},
    },
    Kind.MOVE_TO_VERSION: {"customers": ["c-17"], "schedule": "dunning", "from_version": 1},
    Kind.REMOVE_FROM_SCHEDULE: {"customers": ["c-17"], "schedule": "dunning", "reference": "INV-1"},
    Kind.RECORD: {
        "customers": ["c-17"],
        "fact": {"fact": "payment", "full": False, "amount": "12.50", "currency": "EUR"},
    },
    Kind.BLOCK: {"domain": "@Spam.Example", "schedule": "dunning"},
    Kind.UNBLOCK: {"address": "Ann@EXAMPLE.org", "channel": "email"},
    Kind.OPT_OUT: {"number": "+33 6 12 34 56 78"},
    Kind.OPT_IN: {
        "number": "+33 6 12 34 56 78",
        "consent": {"source": "START", "at": "2026-11-22T10:00:00+01:00"},
    },
    Kind.SUPPRESS: {"address": "ann@example.org", "channel": "email"},
    Kind.UNSUPPRESS: {"number": "+33 6 12 34 56 78", "channel": "sms"},
}


def command(kind: str, **fields: Any) -> dict[str, Any]:
    return {"id": "b1f0", "account": "acme", "kind": kind, **fields}


def good(kind: Kind) -> dict[str, Any]:
    return command(
        kind.value,
        issued_at="2026-11-22T10:00:00+01:00",
        source="billing",
        reason="paid",
        **GOOD[kind],
    )


def why(raw: str | bytes) -> str:
    with pytest.raises(UnreadableCommandError) as refused:
        read_command(raw)
    return str(refused.value)


def test_every_kind_has_one_model() -> None:
    kinds = [get_args(model.model_fields["kind"].annotation) for model in get_args(Command)]
    assert sorted(kinds) == sorted((kind,) for kind in Kind)


@pytest.mark.parametrize("kind", list(Kind))
def test_good_command_of_every_kind_is_read(kind: Kind) -> None:
    read = read_command(json.dumps(good(kind)))
    assert read.kind is kind
    assert read.issued_at == datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    assert set(GOOD[kind]) | {"issued_at", "source"} <= read.model_fields_set


@pytest.mark.parametrize("kind", list(Kind))
def test_command_written_down_and_read_again_is_the_same(kind: Kind) -> None:
    """The inbox keeps commands as JSON; an explicit null must not become a field left out."""
    read = read_command(json.dumps(good(kind)))
    again = read_command(read.model_dump_json(exclude_unset=True))
    assert again == read
    assert again.model_fields_set == read.model_fields_set
    assert again.model_dump_json() == read.model_dump_json()


@pytest.mark.parametrize(
    ("fields", "channels"),
    [
        ({"customers": ["c-17", "c-17"]}, ("email", "sms")),
        ({"customers": {"place": "archived"}, "channel": "sms"}, ("sms",)),
        ({"address": "Ann@example.org"}, ("email",)),
        ({"number": "+33612345678", "channel": "sms"}, ("sms",)),
        ({"domain": "spam.example"}, ("email",)),
    ],
)
def test_consent_is_about_every_channel_that_reaches_whom_it_names(
    fields: dict[str, Any], channels: tuple[str, ...]
) -> None:
    read = read_command(json.dumps(command("block", **fields)))
    assert isinstance(read, ConsentCommand)
    assert read.channels == channels


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "needs one of `customers`, `address`, `number` and `domain`, not none"),
        (
            {"customers": ["c-17"], "number": "+33612345678"},
            "needs one of `customers`, `address`, `number` and `domain`, not 2",
        ),
        (
            {"address": "ann@example.org", "channel": "sms"},
            "gives an address, which only email reaches, and the channel sms: leave `channel` out",
        ),
        ({"domain": "no domain"}, "domain: is not a domain, such as spam.example"),
        ({"customers": []}, "customers: needs at least 1"),
    ],
)
def test_consent_that_names_nobody_or_contradicts_itself_is_refused(
    fields: dict[str, Any], says: str
) -> None:
    assert why(json.dumps(command("opt_out", **fields))) == says


def test_details_are_normalised_where_they_come_in() -> None:
    read = read_command(json.dumps(good(Kind.ADD_CUSTOMER)))
    assert isinstance(read, AddCustomer)
    assert (read.profile.name, read.profile.email) == ("Ann", "Ann@example.org")
    assert (read.profile.phone, read.profile.country) == ("+33612345678", "FR")


def test_customer_named_twice_counts_once_in_the_order_given() -> None:
    read = read_command(json.dumps(command("pause", customers=["b", "a", " b", "b "])))
    assert isinstance(read, CustomerCommand)
    assert read.customers == ("b", "a")


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"active_limit": 7}, 35),
        ({"active_limit": 7, "directory_limit": 3}, 3),
        ({}, None),
    ],
)
def test_directory_is_five_times_active_unless_the_plan_says_otherwise(
    fields: dict[str, int], limit: int | None
) -> None:
    read = read_command(json.dumps(command("put_account", **fields)))
    assert isinstance(read, PutAccount)
    assert read.directory_limit == limit


KINDS = ", ".join(Kind)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("", "Invalid JSON: "),
        ("{", "Invalid JSON: "),
        (b"\xff\xfe", "It is not in UTF-8"),
        ('{"id": "\ud800"}', "It is not in UTF-8"),
        ('{"id": "\\ud800"}', "Invalid JSON: "),
        ("[" * 100_000, "Invalid JSON: recursion limit exceeded"),
        ('{"a":' * 100_000, "Invalid JSON: recursion limit exceeded"),
        ("null", "is not a JSON object"),
        ("[]", "is not a JSON object"),
        ("{}", "kind: is missing"),
        (f'{{"kind": "{SECRET}"}}', f"kind: is not one of {KINDS}"),
        ('{"kind": null}', f"kind: is not one of {KINDS}"),
        ('{"kind": ["pause"]}', f"kind: is not one of {KINDS}"),
        (" " * (MAX_BYTES + 1), "It is 16,000,001 bytes long, and 16,000,000 is the limit."),
        ("é" * (MAX_BYTES // 2 + 1), "It is 16,000,002 bytes long, and 16,000,000 is the limit."),
    ],
)
def test_what_is_no_command_says_why(raw: str | bytes, says: str) -> None:
    assert why(raw).startswith(says)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(
    "missing", ["id", "account", "customers", "definition", "fact", "profile", "csv"]
)
def test_missing_field_is_named(kind: Kind, missing: str) -> None:
    given_as = good(kind)
    if given_as.pop(missing, None) is None or (kind, missing) == (Kind.ADD_CUSTOMER, "profile"):
        return
    assert why(json.dumps(given_as)) == f"{missing}: is missing"


@pytest.mark.parametrize("kind", list(Kind))
def test_unknown_field_is_named(kind: Kind) -> None:
    assert why(json.dumps({**good(kind), "custmers": [SECRET]})) == "custmers: is not a field here"


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        ("pause", {"id": f"{SECRET} {SECRET}"}, "id: "),
        ("pause", {"id": SECRET * 40}, "id: "),
        ("pause", {"id": 17}, "id: "),
        ("pause", {"account": SECRET}, "account: "),
        ("pause", {"customers": []}, "customers: needs at least 1"),
        ("pause", {"customers": SECRET}, "customers: is not a list"),
        ("pause", {"customers": 17}, "customers: is not a list"),
        ("pause", {"customers": {"idle_for": SECRET}}, "customers.idle_for: "),
        ("pause", {"customers": {"idle_for": "P0D"}}, "customers.idle_for: "),
        ("pause", {"customers": {"status": SECRET}}, "customers.status: is not 'on_track'"),
        ("pause", {"customers": {"stauts": SECRET}}, "customers.stauts: is not a field here"),
        ("pause", {"customers": {}}, "customers: has no condition, and a command for everybody"),
        ("pause", {"customers": {"place": "reserve"}}, "pause changes nothing for customers in"),
        ("add_customer", {"customers": {"place": "reserve"}}, "customers: is not a list"),
        ("import_customers", {"csv": ""}, "csv: "),
        ("import_customers", {"first_row": 1}, "first_row: "),
        ("activate", {"customers": ["a"] * 9, "all_or_none": SECRET}, "all_or_none: "),
        ("pause", {"customers": ["a", f"!{SECRET}"]}, "customers[1]: "),
        ("pause", {"customers": ["a"], "reason": SECRET * 100}, "reason: "),
        ("pause", {"customers": ["a"], "reason": f"{SECRET}\0"}, "reason: has a NUL character"),
        ("pause", {"issued_at": SECRET}, "issued_at: "),
        ("pause", {"issued_at": "2026-01-01T00:00:00"}, "issued_at: "),
        ("pause", {"issued_at": "0001-01-01T00:00:00+14:00"}, "issued_at: is not between the"),
        ("pause", {"issued_at": "9999-12-31T23:59:59-14:00"}, "issued_at: is not between the"),
        ("move_to_directory", {"if_full": SECRET}, "if_full: is not 'pause' or 'refuse'"),
        ("add_customer", {"place": SECRET}, "place: is not 'reserve' or 'active'"),
        ("add_customer", {"customers": ["a", "b"], "place": "active"}, "only a single customer"),
        ("add_customer", {"profile": {"email": f"{SECRET}@@example.org"}}, "profile.email: is not"),
        ("add_customer", {"profile": {"phone": SECRET}}, "profile.phone: is not a telephone"),
        ("add_customer", {"profile": {"name": SECRET * 50}}, "profile.name: "),
        ("add_customer", {"profile": {"name": f"\0{SECRET}"}}, "profile.name: has a NUL character"),
        ("add_customer", {"profile": {"values": {"a": [SECRET]}}}, "profile.values.a: is a text"),
        ("add_customer", {"profile": {"values": {"a": f"\0{SECRET}"}}}, "profile.values.a: has"),
        ("add_customer", {"profile": {"values": {f"{SECRET}@x.org": 1}}}, "profile.values.…: "),
        ("assign_schedule", {"schedule": f"{SECRET}!"}, "schedule: "),
        ("assign_schedule", {"due_date": SECRET}, "due_date: "),
        ("assign_schedule", {"due_date": "9999-12-31"}, "due_date: is not between the years"),
        ("record", {"fact": {"when": SECRET}}, "fact: has no field `fact`"),
        ("record", {"fact": {"fact": SECRET}}, "fact: is not one of invoice, payment, promise"),
        ("record", {"fact": {"fact": "promise", "when": SECRET}}, "fact.until: is missing"),
        ("record", {"fact": {"fact": "promise", "until": SECRET}}, "fact.until: "),
        ("record", {"fact": {"fact": "payment", "amount": SECRET}}, "fact.amount: "),
        ("record", {"fact": {"fact": "payment", "amount": 12.5}}, "fact.amount: "),
        ("record", {"fact": {"fact": "payment", "currency": "eur"}}, "fact.currency: "),
        ("record", {"fact": {"fact": "invoice"}}, "fact.reference: is missing"),
        ("record", {"fact": {"fact": "invoice", "reference": ""}}, "fact.reference: "),
        (
            "record",
            {"fact": {"fact": "invoice", "reference": "i", "amount": "1"}},
            "fact: has an amount without a currency",
        ),
        (
            "record",
            {"fact": {"fact": "dispute", "outcome": SECRET}},
            "fact.outcome: is not",
        ),
        ("record", {"fact": {"fact": "interaction"}}, "fact.direction: is missing"),
        ("record", {"fact": {"fact": "note", "text": " "}}, "fact.text: "),
        ("resume", {"customers": ["a"], "hold": SECRET}, "hold: is not 'paused' or 'replied'"),
        ("resume", {"customers": ["a"], "reference": SECRET}, "has a reference, and a pause holds"),
        ("put_account", {"active_limit": -1}, "active_limit: "),
        ("put_account", {"active_limit": SECRET}, "active_limit: "),
        ("put_account", {"email_from": SECRET}, "email_from: must be an address"),
        ("put_account", {"email_from": f"{SECRET}@example.org\nBcc: x"}, "email_from: must be an"),
    ],
)
def test_wrong_field_is_named_and_its_value_is_not(
    kind: str, fields: dict[str, Any], says: str
) -> None:
    """Messages are logged and shown to operators; values may be personal data."""
    said = why(json.dumps({**good(Kind(kind)), **fields}))
    assert said.startswith(says)
    assert SECRET not in said


def test_escaped_backslash_before_u0000_is_no_nul() -> None:
    given_as = command("pause", customers=["a"], reason="write \\u0000 so")
    assert read_command(json.dumps(given_as)).reason == "write \\u0000 so"


def test_every_pattern_of_a_field_has_words_of_its_own() -> None:
    """Nobody should have to read a regular expression to learn what an id may be."""
    schema = TypeAdapter[Command](Command).json_schema()
    told_by_the_field = {"^[A-Za-z]{2}$", "^[A-Za-z]{2,3}$"}  # country, language
    patterns = set(_patterns(schema)) - told_by_the_field
    # An hour and a duration are read by pydantic: these are for editors alone.
    assert patterns - set(PATTERNS) == {p for p in patterns if p.startswith(("^([01]", "^[+-]?P"))}
    assert set(PATTERNS) <= patterns


def _patterns(schema: object) -> Iterator[str]:
    if isinstance(schema, list):
        for one in schema:
            yield from _patterns(one)
    elif isinstance(schema, dict):
        for name, value in schema.items():
            if name == "pattern" and isinstance(value, str):
                yield value
            elif name == "patternProperties":
                yield from value
            yield from _patterns(value)


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        ("assign_schedule", {"due_date": "1.5.2026"}, "due_date: is not a day: write it as in 20"),
        ("pause", {"issued_at": "2026-05-01T10:00"}, "issued_at: is not a moment: write it with"),
        ("pause", {"customers": [17]}, "customers[0]: is not a text: put it in quotes"),
        ("pause", {"customers": ["Bob Lee"]}, "customers[0]: must begin with a letter or digit"),
        ("put_account", {"active_limit": -1}, "active_limit: must be 0 or more"),
        ("put_account", {"active_limit": "ten"}, "active_limit: is not a whole number"),
        ("record", {"fact": {"fact": "payment", "amount": "1,20"}}, "fact.amount: is not a deci"),
        ("record", {"fact": {"fact": "payment", "full": "?"}}, "fact.full: is not true or false"),
    ],
)
def test_mistake_is_told_in_plain_words_with_what_to_write(
    kind: str, fields: dict[str, Any], says: str
) -> None:
    assert why(json.dumps({**good(Kind(kind)), **fields})).startswith(says)


def test_many_mistakes_are_told_in_a_short_message() -> None:
    said = why(json.dumps(command("pause", customers=["!"] * 100_000)))
    assert len(said) < 2_500
    assert said.endswith("; and 99,980 more")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def read_or_refused(raw: str | bytes) -> Command | None:
    with contextlib.suppress(UnreadableCommandError):
        return read_command(raw)
    return None


@given(st.binary() | st.text())
@example(b"")
@example("\ud800")
def test_arbitrary_bytes_and_texts_are_never_more_than_unreadable(raw: str | bytes) -> None:
    assert read_or_refused(raw) is None


@given(JSON)
def test_arbitrary_json_is_never_more_than_unreadable(given_as: object) -> None:
    assert read_or_refused(json.dumps(given_as)) is None


@given(st.sampled_from(Kind), st.data())
def test_command_with_one_arbitrary_value_is_read_or_unreadable(
    kind: Kind, data: st.DataObject
) -> None:
    """What is read can be written down and read again: nothing passes that can't be kept."""
    given_as = good(kind)
    inside = given_as
    name = data.draw(st.sampled_from(sorted(inside)))
    while isinstance(inside[name], dict) and data.draw(st.booleans()):
        inside = inside[name] = dict(inside[name])
        name = data.draw(st.sampled_from(sorted(inside)))
    inside[name] = data.draw(JSON)
    read = read_or_refused(json.dumps(given_as))
    if read is not None:
        body = read.model_dump_json(exclude_unset=True)
        again = read_command(body)
        assert (again, again.model_fields_set) == (read, read.model_fields_set)
        assert "\\u0000" not in body.replace("\\\\", "")


@given(
    st.text(min_size=1, max_size=30),
    st.sampled_from(["id", "account", "customers", "source", "reason", "place", "profile"]),
)
def test_no_given_text_is_in_a_message(text: str, field: str) -> None:
    marked = f"{SECRET}{text}{SECRET}"
    raw = json.dumps({**good(Kind.ADD_CUSTOMER), field: marked, "foo": marked})
    assert SECRET not in why(raw)


@given(st.text(min_size=1, max_size=30), st.sampled_from(["email", "phone", "zone", "country"]))
def test_no_given_detail_is_in_a_message(text: str, field: str) -> None:
    profile = {field: f"{SECRET}{text}@{SECRET}", "foo": SECRET}
    said = why(json.dumps(command("add_customer", customers=["a"], profile=profile)))
    assert SECRET not in said
    assert SECRET.lower() not in said.lower()


def test_only_a_single_add_may_ask_for_active() -> None:
    read = read_command(json.dumps(command("add_customer", customers=["a", "a"], place="active")))
    assert isinstance(read, AddCustomer)
    assert read.place is Place.ACTIVE
