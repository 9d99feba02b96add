"""Where a customer may be, by its record."""

from pathlib import Path

import phonenumbers
import pytest
from phonenumbers.timezone import time_zones_for_number

from domain.law import LAWS, Purpose, laws_for
from domain.places import places
from domain.zones import all_zones, zone_named, zones_of_country


def names(zone: str | None, phone: str | None, country: str | None) -> set[str]:
    return {place.key for place in places(zone, phone, country)}


@pytest.mark.parametrize(
    ("zone", "phone", "country", "expected"),
    [
        ("America/New_York", "+12125550123", "US", {"America/New_York"}),
        ("America/New_York", "+14155550123", "US", {"America/New_York", "America/Los_Angeles"}),
        ("America/New_York", "+18005550199", None, {"America/New_York"}),
        ("America/New_York", None, "FR", {"America/New_York", "Europe/Paris"}),
        (None, "+14155550123", None, {"America/Los_Angeles"}),
        (None, None, "DE", {"Europe/Berlin", "Europe/Busingen"}),
        (None, None, None, set()),
    ],
)
def test_all_that_the_record_points_to_counts_unless_it_says_the_same_less_exactly(
    zone: str | None, phone: str | None, country: str | None, expected: set[str]
) -> None:
    assert names(zone, phone, country) == expected


def test_country_alone_is_all_of_its_zones() -> None:
    assert {"America/New_York", "America/Los_Angeles", "Pacific/Honolulu"} < names(None, None, "US")
    assert {"America/Los_Angeles", "Pacific/Honolulu"} < names(None, "+14155550123", "US")


@pytest.mark.parametrize(
    "number", ["+12125550123", "+493012345678", "+61412345678", "+442071234567"]
)
def test_number_is_where_its_library_says(number: str) -> None:
    found = time_zones_for_number(phonenumbers.parse(number))
    assert names(None, number, None) == set(found)


def test_page_tells_every_jurisdiction_with_its_source_and_day() -> None:
    page = (Path(__file__).parents[3] / "docs" / "gate.md").read_text("utf-8")
    rows = page.partition("<!-- laws")[2].partition("<!-- end of laws -->")[0].splitlines()
    told = [row for row in rows if row.startswith("| `")]
    assert len(told) == len(LAWS)
    for row, law in zip(told, LAWS, strict=True):
        assert row.startswith(f"| `{law.name}` |")
        assert f"{law.statute} ([read]({law.read_at}) {law.checked})" in row
        assert ("3 in 24 h" in row) is bool(law.caps)
        for window in law.hours.windows:
            assert window.until is not None
            assert f"{window.opens:%H:%M} to {window.until.hour + 1:02}:00" in row


def test_every_country_has_its_zones_and_each_can_be_read() -> None:
    zones = dict.fromkeys(country for country, _ in all_zones())
    assert len(zones) > 240
    assert zones_of_country("NZ") == ("Pacific/Auckland", "Pacific/Chatham")
    assert len(zones_of_country("US")) == 29
    assert [zone for _, zone in all_zones() if zone_named(zone).key != zone] == []


@pytest.mark.parametrize(
    ("phone", "country", "channel", "purposes", "laws"),
    [
        ("+13055550123", None, "sms", {Purpose.MARKETING}, ["US", "US-FL"]),
        ("+12125550123", "US", "sms", set(Purpose), ["US"]),
        ("+33612345678", None, "sms", {Purpose.MARKETING}, ["FR"]),
        ("+33612345678", "US", "sms", {Purpose.MARKETING}, ["US", "FR"]),
        ("+13055550123", "US", "email", {Purpose.MARKETING}, []),
        ("+13055550123", "US", "sms", {Purpose.COLLECTION}, []),
        (None, None, "sms", {Purpose.MARKETING}, []),
    ],
)
def test_law_is_that_of_the_number_and_of_the_country(
    phone: str | None, country: str | None, channel: str, purposes: set[Purpose], laws: list[str]
) -> None:
    found = laws_for(phone, country, channel, frozenset(purposes))
    assert [law.name for law in found] == laws
