"""Where a test account's clock may go, before anything is sent."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ops.screen import UserError
from ops.travel_command import destination
from storage.accounts import Account

NOW = datetime(2026, 3, 29, 8, 0, tzinfo=UTC)


def account(**fields: Any) -> Account:
    given = dict.fromkeys(Account._fields) | {"account": "walk", "test_now": NOW, "now": NOW}
    return Account(**{**given, **fields})


def test_clock_goes_to_a_moment_or_so_far() -> None:
    to = destination(account(), "2026-04-01T10:00+02:00", None)
    assert to == datetime(2026, 4, 1, 8, 0, tzinfo=UTC)
    assert destination(account(), None, "PT12H") == datetime(2026, 3, 29, 20, 0, tzinfo=UTC)
    assert destination(account(), "2026-03-29T08:00Z", None) == NOW


@pytest.mark.parametrize(
    ("to", "by", "said"),
    [
        ("2026-03-28T08:00Z", None, "travels forward only"),
        (None, "-P1D", "time goes forward only"),
        (None, "P0D", "time goes forward only"),
        (None, "tomorrow", "write it as in P1D"),
        ("tomorrow", None, "write it as in 2026-04-01T08:00Z"),
        ("2026-04-01T08:00", None, "with no zone"),
        (None, "P999999D", "beyond the year 2199"),
        (None, "P9999999D", "beyond the year 2199"),
    ],
)
def test_clock_that_cannot_go_there_says_why(to: str | None, by: str | None, said: str) -> None:
    with pytest.raises(UserError, match=said):
        destination(account(), to, by)


def test_live_account_does_not_travel() -> None:
    with pytest.raises(UserError, match="is live, and its clock can't be set"):
        destination(account(test_now=None), None, "P1D")
