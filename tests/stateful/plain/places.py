"""What numbers and countries tell of where somebody is, written out: docs/schedules.md, gate.md."""

OF_NUMBERS = {
    "+1214": ("America/Chicago",),
    "+1305": ("America/New_York",),
    "+33": ("Europe/Paris",),
    "+800": (),
}
"""Dallas, Miami, France, and free of charge."""
OF_COUNTRIES = {
    "ES": ("Africa/Ceuta", "Atlantic/Canary", "Europe/Madrid"),
    "FR": ("Europe/Paris",),
}


def of_number(number: str | None) -> tuple[str, ...]:
    return next((at for begins, at in OF_NUMBERS.items() if (number or "").startswith(begins)), ())


def of_country(country: str | None) -> tuple[str, ...]:
    return OF_COUNTRIES.get(country or "", ())


def derived(number: str | None, country: str | None) -> str | None:
    """By the number, else by the country; if it is one clock. None of several here is."""
    pointed_to = of_number(number), of_country(country)
    return next((zones[0] for zones in pointed_to if len(zones) == 1), None)


def all_at_once(zone: str | None, number: str | None, country: str | None) -> list[str]:
    """What says the same as the zone, less exactly, adds nothing."""
    pointed_to = of_number(number), of_country(country)
    hints = [zones for zones in pointed_to if zone not in zones]
    own = [zone] if zone else []
    return own + [each for zones in hints for each in zones]
