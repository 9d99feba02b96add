"""Where a customer's clock is, from its number or its country."""

import pytest
from phonenumbers.tzdata import TIMEZONE_DATA

from domain.whereabouts import derived_zone, zones_of_number
from domain.zones import calendar_data, is_older, zone_named, zones_of_country


@pytest.mark.parametrize(
    ("phone", "country", "zone"),
    [
        ("+33612345678", None, "Europe/Paris"),
        ("+33612345678", "DE", "Europe/Paris"),
        ("+12125551234", "US", "America/New_York"),
        ("+18005551234", "US", None),
        ("+18005551234", "JM", "America/Jamaica"),
        ("+447700900123", "GB", "Europe/London"),
        (None, "DE", "Europe/Berlin"),
        (None, "IN", "Asia/Kolkata"),
        (None, "US", None),
        (None, "ES", None),
        (None, "XX", None),
        (None, None, None),
    ],
)
def test_a_zone_is_derived_only_from_what_points_to_one_clock(
    phone: str | None, country: str | None, zone: str | None
) -> None:
    """The number before the country. Spain has two clocks, 1-800 many; Germany two zones, one."""
    assert derived_zone(phone, country) == zone
    assert len(zones_of_country("DE")) == 2


def test_every_zone_that_a_number_can_point_to_is_known() -> None:
    """Else adding that customer would fail."""
    named = {zone for zones in TIMEZONE_DATA.values() for zone in zones} - {"Etc/Unknown"}
    assert len(named) > 200
    assert [zone for zone in sorted(named) if zone_named(zone).key != zone] == []
    assert "Europe/Paris" in zones_of_number("+33612345678")


@pytest.mark.parametrize(
    ("theirs", "older"),
    [
        (None, True),
        ("tzdata 2026.5, holidays 0.109", True),
        ("tzdata 2026.6, holidays 0.99", True),
        ("tzdata 2026.6, holidays 0.109", False),
        ("tzdata 2026.10, holidays 0.109", False),
        ("tzdata 2026.6, holidays 0.110", False),
    ],
)
def test_plans_are_made_anew_by_newer_data_and_never_by_older(
    theirs: str | None, *, older: bool
) -> None:
    """Else two versions that run side by side would undo each other's plans for ever."""
    assert is_older(theirs, "tzdata 2026.6, holidays 0.109") is older
    assert not is_older(calendar_data(), calendar_data())
