"""What a log says of a server that is away: that it is, for how long, and that it is back."""

import pytest
from structlog.testing import capture_logs

from config import outage
from config.outage import Outage


def told(looks: str) -> list[str]:
    """What is told by somebody to whom it does not answer (`-`), or does (`+`)."""
    database = Outage("database")
    with capture_logs() as logs:
        for look in looks:
            database.away("gone") if look == "-" else database.over()
    return [one["event"] for one in logs]


def test_server_that_is_away_is_told_of_once_and_when_it_is_back() -> None:
    """However often it is asked meanwhile; and each time that it happens."""
    assert told("++---+++") == ["database_away", "database_back"]
    assert told("-+-") == ["database_away", "database_back", "database_away"]


def test_server_that_stays_away_is_told_of_from_time_to_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outage, "_AGAIN_SECONDS", 0)
    assert told("---") == ["database_away", "database_still_away", "database_still_away"]
