"""What Redis can be set to, or run out of, so that commands are lost: it is said in plain words."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from workers.redis_settings import forgetful, weakened


@contextmanager
def with_settings(client: redis.Redis, **settings: str) -> Iterator[None]:
    named = {name.replace("_", "-"): value for name, value in settings.items()}
    before = {name: str(client.config_get(name)[name]) for name in named}
    for name, value in named.items():
        client.config_set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            client.config_set(name, value)


def test_policy_that_drops_commands_is_told(redis_client: redis.Redis) -> None:
    assert weakened(redis_client) == []
    with with_settings(redis_client, maxmemory_policy="allkeys-lru"):
        (told,) = weakened(redis_client)
    assert "Set maxmemory-policy to noeviction" in told


def test_policy_that_drops_only_what_passes_anyway_is_no_mistake(
    redis_client: redis.Redis,
) -> None:
    with with_settings(redis_client, maxmemory_policy="volatile-lru"):
        assert weakened(redis_client) == []


def test_redis_without_room_is_told(redis_client: redis.Redis) -> None:
    """It answers all that is read, so only a write tells."""
    with with_settings(redis_client, maxmemory="1"):
        (told,) = weakened(redis_client)
    assert "Redis takes nothing in (command not allowed" in told


def test_redis_that_comes_back_empty_is_told(redis_client: redis.Redis) -> None:
    with with_settings(redis_client, appendonly="no", save=""):
        (told,) = forgetful(redis_client)
    assert "Set appendonly yes" in told
    with with_settings(redis_client, save="3600 1"):
        assert forgetful(redis_client) == []
