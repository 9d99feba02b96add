"""Every (place, command) pair, generated from the two tables: allowed, or refused in words."""

import re

import pytest

from domain.journey import (
    ALLOWED_IN,
    ENDS_SILENCE,
    JOURNEY,
    SILENCING,
    TAKEN_ONCE_REDACTED,
    Kind,
    Place,
    allowed,
    changed_in,
    is_redacted,
    purge_instead,
    wrong_place,
)

SET_UP = {Kind.PUT_ACCOUNT, Kind.PUT_SCHEDULE, Kind.PUT_TEMPLATE}
ADDS = (Kind.ADD_CUSTOMER, Kind.IMPORT_CUSTOMERS)
OF_CUSTOMERS = [kind for kind in Kind if kind not in SET_UP]
PAIRS = [(place, kind) for kind in OF_CUSTOMERS for place in (None, *Place)]
LISTED = set(JOURNEY) | {(place, kind) for kind, places in ALLOWED_IN.items() for place in places}
UNLISTED = [pair for pair in PAIRS if pair not in LISTED]


def test_journey_is_the_designs_table() -> None:
    """DESIGN, section 2; whoever changes the table changes the design."""
    assert set(JOURNEY.items()) == {
        ((None, Kind.ADD_CUSTOMER), Place.RESERVE),
        ((None, Kind.IMPORT_CUSTOMERS), Place.RESERVE),
        ((Place.RESERVE, Kind.ACTIVATE), Place.ACTIVE),
        ((Place.ACTIVE, Kind.MOVE_TO_DIRECTORY), Place.ARCHIVED),
        ((Place.ARCHIVED, Kind.MOVE_TO_DIRECTORY), Place.ARCHIVED),
        ((Place.ARCHIVED, Kind.REACTIVATE), Place.ACTIVE),
        ((Place.RESERVE, Kind.PURGE), None),
    }


@pytest.mark.parametrize(("place", "kind"), sorted(LISTED, key=str))
def test_listed_pair_is_allowed(place: Place | None, kind: Kind) -> None:
    assert allowed(kind, place)


@pytest.mark.parametrize(("place", "kind"), UNLISTED)
def test_unlisted_pair_is_refused_in_words(place: Place | None, kind: Kind) -> None:
    """What was refused, what it is, what it needs, what to do: two sentences at least."""
    assert not allowed(kind, place)
    refusal = wrong_place(kind, "c-17", place)
    what, _, rest = refusal.message.partition(": ")
    it_is, _, do = rest.partition(". ")
    assert re.fullmatch(r"Cannot [a-z].*customer c-17.*", what)
    assert it_is.startswith(("there is no such customer", "it is in ", "it is active"))
    assert place is None or ", and " in it_is
    assert do.endswith(".")
    assert re.fullmatch(r"[A-Z][^{}]{10,}", do)
    assert "Place." not in refusal.message
    assert "archived." not in it_is


@pytest.mark.parametrize("kind", OF_CUSTOMERS)
@pytest.mark.parametrize("place", [Place.RESERVE, Place.ARCHIVED])
def test_redacted_customer_takes_silence_and_nothing_else(place: Place, kind: Kind) -> None:
    taken = allowed(kind, place, redacted=True)
    assert taken is (kind in SILENCING and allowed(kind, place))
    refusal = is_redacted(kind, "c-17")
    assert re.fullmatch(r"Cannot [a-z][^{}]+: it was redacted, [^{}]+\. [A-Z].+\.", refusal.message)
    assert refusal.code == "redacted"


def test_what_a_redacted_customer_takes_is_silence() -> None:
    assert TAKEN_ONCE_REDACTED < SILENCING
    assert not TAKEN_ONCE_REDACTED & ENDS_SILENCE


def test_redaction_of_who_would_leave_nothing_names_the_purge() -> None:
    assert purge_instead("c-17").message == (
        "Cannot redact customer c-17: it is in reserve, and nothing is recorded of it that has to "
        "be kept. Purge it."
    )


def test_reserve_never_goes_straight_to_archived() -> None:
    straight = [
        kind for (place, kind), to in JOURNEY.items() if (place, to) == ("reserve", "archived")
    ]
    assert straight == []


def test_nobody_becomes_active_but_by_a_command_that_ends_silence() -> None:
    into = {kind for (_, kind), to in JOURNEY.items() if to is Place.ACTIVE}
    assert into <= ENDS_SILENCE


def test_no_command_both_silences_and_ends_silence() -> None:
    assert not SILENCING & ENDS_SILENCE


def test_every_command_of_customers_is_in_exactly_one_table() -> None:
    moves = {kind for _, kind in JOURNEY}
    assert moves | set(ALLOWED_IN) == set(OF_CUSTOMERS)
    assert not moves & set(ALLOWED_IN)


def test_refusals_codes_tell_the_three_reasons_apart() -> None:
    codes = {
        (place is None, kind in ADDS, wrong_place(kind, "c-17", place).code)
        for place, kind in UNLISTED
    }
    assert codes == {
        (True, False, "unknown_customer"),
        (False, True, "already_exists"),
        (False, False, "wrong_place"),
    }


EXACTLY = {
    (Kind.MOVE_TO_DIRECTORY, Place.RESERVE): """
        Cannot move customer c-17 to the directory: it is in reserve, and only active customers are
        archived. Activate it first, or purge it.""",
    (Kind.PURGE, Place.ACTIVE): """
        Cannot purge customer c-17: it is active, and only customers who were never active are
        purged. Move it to the directory, where it is kept as proof.""",
    (Kind.ACTIVATE, Place.ARCHIVED): """
        Cannot activate customer c-17: it is in the archive, and only customers in reserve are
        activated. Reactivate it instead.""",
    (Kind.ADD_CUSTOMER, Place.ACTIVE): """
        Cannot add customer c-17: it is active already, and an id is given once. Change it with
        update_customer, or give the new one an id of its own.""",
    (Kind.ASSIGN_SCHEDULE, Place.ARCHIVED): """
        Cannot put customer c-17 on a schedule: it is in the archive, and only active customers are
        on schedules. Reactivate it first.""",
    (Kind.RESUME, Place.RESERVE): """
        Cannot resume customer c-17: it is in reserve, and only active customers are paused and
        resumed. Activate it instead.""",
    (Kind.REDACT, Place.ACTIVE): """
        Cannot redact customer c-17: it is active, and only customers in the directory are
        redacted. Move it to the directory first: from then on it hears nothing.""",
    (Kind.REDACT, None): """
        Cannot redact customer c-17: there is no such customer. Check the id; who is not known hears
        nothing.""",
    (Kind.PAUSE, None): """
        Cannot pause customer c-17: there is no such customer. Check the id; who is not known hears
        nothing.""",
    (Kind.UPDATE_CUSTOMER, None): """
        Cannot update customer c-17: there is no such customer. Check the id, or add it with
        add_customer.""",
}


@pytest.mark.parametrize(("kind", "place"), EXACTLY)
def test_refusal_reads_exactly(kind: Kind, place: Place | None) -> None:
    assert wrong_place(kind, "c-17", place).message == " ".join(EXACTLY[kind, place].split())


def test_a_filter_takes_customers_from_where_its_command_changes_something() -> None:
    """Not those in the archive who are moved there again, nor those in reserve who can't be."""
    assert changed_in(Kind.MOVE_TO_DIRECTORY) == {Place.ACTIVE}
    assert changed_in(Kind.REACTIVATE) == {Place.ARCHIVED}
    assert changed_in(Kind.PURGE) == {Place.RESERVE}
    assert changed_in(Kind.REDACT) == {Place.RESERVE, Place.ARCHIVED}
    assert changed_in(Kind.RECORD) == set(Place)
    assert changed_in(Kind.IMPORT_CUSTOMERS) == set()
