"""What is wrong with what was given, in words; never with the values, which may be personal."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from domain.journey import Kind
from domain.schedule import A_CALENDAR, NONE_AT_ALL

A_LIST, A_FILTER = "a list", "a filter"
"""The two ways to say for whom a command is, as a validation calls them."""


def in_words(error: ValidationError) -> str:
    """Every mistake of a validation, without the values that were given (they may be personal)."""
    return mistakes_in_words(error.errors(include_input=False, include_url=False))


def mistakes_in_words(problems: Iterable[Mapping[str, Any]]) -> str:
    """The same for a validation's mistakes as pydantic lists them."""
    own = _own(problems)
    said = [
        path_in_words(one["loc"]) + _said(one["type"], one["msg"], one.get("ctx", {}))
        for one in own[:_MOST_SAID]
    ]
    more = len(own) - _MOST_SAID
    return "; ".join([*said, f"and {more:,} more"] if more > 0 else said)


def own_mistakes(error: ValidationError) -> list[Mapping[str, Any]]:
    """The mistakes of a validation, but for those that follow from another."""
    return _own(error.errors(include_input=False, include_url=False))


def _own(problems: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    listed = list(problems)
    locs = [one["loc"] for one in listed]
    return [one for one in listed if not _follows_from_another(one["type"], one["loc"], locs)]


_MOST_SAID = 20


def _follows_from_another(
    kind: str, loc: tuple[int | str, ...], locs: list[tuple[int | str, ...]]
) -> bool:
    # A list whose items are wrong is also reported as too short.
    return kind == "too_short" and any(other != loc and other[: len(loc)] == loc for other in locs)


def _said(kind: str, message: str, context: dict[str, Any]) -> str:
    return _of_a_value(kind, context) or _of_a_shape(kind, message, context)


def _of_a_value(kind: str, context: dict[str, Any]) -> str | None:
    match kind:
        case "string_pattern_mismatch":
            return PATTERNS.get(context["pattern"])
        case "string_too_long":
            return f"is longer than {context['max_length']:,} characters"
        case "string_too_short" if context["min_length"] == 1:
            return "is empty"
        case "greater_than_equal" if isinstance(context["ge"], int):
            return f"must be {context['ge']:,} or more"
        case "less_than_equal" if isinstance(context["le"], int):
            return f"must be {context['le']:,} or less"
        case _:
            return _NOT_A.get(kind)


PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9_.:@+/=-]{0,199}$": (
        "must begin with a letter or digit (A to Z) and go on with those or _.:@+/=-, 200 at most"
    ),
    r"^[a-z0-9][a-z0-9_-]{0,62}$": (
        "must begin with a small letter or digit and go on with those or _ or -, 63 at most"
    ),
    r"^[a-z0-9][a-z0-9_.-]{0,99}$": (
        "must begin with a small letter or digit and go on with those or _.-, 100 at most"
    ),
    r"^[a-z][a-z0-9_]{0,39}$": (
        "must begin with a small letter and go on with those, digits or _, 40 at most"
    ),
    r"^[a-z][a-z0-9_]{0,49}$": (
        "must begin with a small letter and go on with those, digits or _, 50 at most"
    ),
    r"^[A-Za-z0-9][A-Za-z0-9 -]{0,29}$": "is not a part of a country as in ISO 3166-2, such as BY",
    r"^[a-z]{2,3}$": "is not a language's two or three small letters, such as fr",
    r"^\d{1,15}(\.\d{1,4})?$": "is not a decimal number with a point, such as 120.00",
    r"^[A-Z]{3}$": "is not a currency's three capital letters, such as EUR",
    r"^P([1-9]\d{0,3}[YMWD]|T[1-9]\d{0,3}H)$": (
        "is not a number of one unit, such as P7D, P2W, P1M or PT6H"
    ),
}
"""What is meant by the patterns of our fields: a test holds the list complete."""

_A_TIME = 'is not a time of day: write it as in "09:30"'
_A_DAY = "is not a day: write it as in 2026-12-01"
_A_MOMENT = "is not a moment: write it with its zone, as in 2026-12-01T09:15:00Z"
_A_DURATION = "is not a duration: write it as in P3D or PT2H"
_NUMBER = "is not a whole number"
_YES_OR_NO = "is not true or false"

_NOT_A = {
    **dict.fromkeys(("time_parsing", "time_type"), _A_TIME),
    **dict.fromkeys(("date_parsing", "date_type"), _A_DAY),
    **dict.fromkeys(("date_from_datetime_parsing", "date_from_datetime_inexact"), _A_DAY),
    **dict.fromkeys(("datetime_parsing", "datetime_type", "timezone_aware"), _A_MOMENT),
    **dict.fromkeys(("datetime_from_date_parsing", "datetime_object_invalid"), _A_MOMENT),
    **dict.fromkeys(("time_delta_parsing", "time_delta_type"), _A_DURATION),
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), _NUMBER),
    **dict.fromkeys(("bool_parsing", "bool_type"), _YES_OR_NO),
    "string_type": "is not a text: put it in quotes",
}


def _of_a_shape(kind: str, message: str, context: dict[str, Any]) -> str:
    match kind:
        case "union_tag_not_found" if context["discriminator"] == "'fact'":
            return "has no field `fact`, which says what it is"
        case "union_tag_invalid" if context["discriminator"] == "'fact'":
            return f"is not one of {context['expected_tags'].replace(chr(39), '')}"
        case "union_tag_not_found":
            return "kind: is missing"
        case "union_tag_invalid":
            return f"kind: is not one of {', '.join(Kind)}"
        case "model_attributes_type" | "model_type" | "dict_type":
            return "is not a JSON object"
        case "tuple_type" | "list_type" | "frozen_set_type":
            return "is not a list"
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a field here"
        case "too_short":
            return f"needs at least {context['min_length']}"
        case "too_long":
            return f"has more than {context['max_length']:,}"
        case "enum" | "literal_error":
            return "is not " + re.sub(r"<[^:>]+: ('[^']*')>", r"\1", context["expected"])
        case "value_error":
            return message.removeprefix("Value error, ")
        case _:
            return message


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,49}")


def path_in_words(loc: tuple[int | str, ...]) -> str:
    """`profile.values.amount: `; what is no name but a given text in a name's place is left out."""
    parts = loc[1:] if loc and loc[0] in set(Kind) else loc
    if parts[:1] == ("fact",):
        parts = ("fact", *parts[2:])  # which fact it is, is no field
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in ("[key]", A_LIST, A_FILTER, A_CALENDAR, NONE_AT_ALL):
            path += f".{part if _NAME.fullmatch(part) else '…'}"
    return f"{path.removeprefix('.')}: " if path else ""
