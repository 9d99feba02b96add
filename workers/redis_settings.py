"""What keeps Redis from doing its part, or takes away what it was given."""

from typing import Any

import redis


def weakened(client: redis.Redis) -> list[str]:
    """What is set, or has come about, so that commands are lost or nothing goes on."""
    found = []
    policy = str(client.info("memory").get("maxmemory_policy"))
    if policy.startswith("allkeys"):
        found.append(
            f"maxmemory-policy is {policy}: when memory is used up Redis drops what it holds, and "
            "with it commands that nobody took in yet. Set maxmemory-policy to noeviction."
        )
    try:
        client.set("layby:check", 1, ex=1)
    except redis.ResponseError as error:
        found.append(
            f"Redis takes nothing in ({str(error).rstrip('.')}): no command comes in by the "
            "stream, and nobody is rung for, so nothing is sent. Give it room, in memory or on "
            "disk; a replica can't be used."
        )
    return found


def forgetful(client: redis.Redis) -> list[str]:
    """Whether it comes back empty: producers that publish until there is an outcome can bear it."""
    info: dict[str, Any] = client.info("persistence")
    try:
        saves = client.config_get("save").get("save")
    except redis.ResponseError:
        return []  # a managed one, which does not tell
    if info.get("aof_enabled") or saves:
        return []
    told = (
        "Redis writes nothing down: when it restarts, commands in the stream that nobody took in "
        "yet are gone until they are published again. Set appendonly yes."
    )
    return [told]
