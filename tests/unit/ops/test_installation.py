"""Servers that are there, and too old: told at the start, not by the first statement that fails."""

import pytest
from harness import Layby

from ops.servers import Servers
from storage import database
from storage.database import DatabaseTooOldError, check_reachable
from workers import broker
from workers.broker import BrokerTooOldError, check_redis


def test_database_older_than_ours_needs_is_told_with_its_version(
    layby: Layby, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server so old is at hand: this one is, beside what we may need one day."""
    version = check_reachable(layby.engine)
    monkeypatch.setattr(database, "OLDEST", 99)
    with pytest.raises(DatabaseTooOldError) as refused:
        check_reachable(layby.engine)
    assert str(refused.value).startswith(
        f"PostgreSQL {version} is too old: Layby needs 99 or newer"
    )


def test_redis_older_than_ours_needs_is_told_with_its_version(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = check_redis(servers.redis_url)
    monkeypatch.setattr(broker, "OLDEST", 99)
    with pytest.raises(BrokerTooOldError, match=f"{version} is too old: Layby needs Redis 99 or"):
        check_redis(servers.redis_url)
