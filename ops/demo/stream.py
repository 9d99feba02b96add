"""The queue's end that an upstream system has: it publishes commands, and nothing more."""

import json
from typing import Any

import redis

from workers.intake import STREAM

ACCOUNT = "fernhill"


class Stream:
    """Publishes to `layby:commands` with plain XADD, as a program in any language would."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.published = 0

    def publish(self, kind: str, *, source: str, **fields: Any) -> str:
        """Publish one command without waiting for anything; returns its id."""
        self.published += 1
        command = {
            "id": f"{source}-{self.published:05d}",
            "account": ACCOUNT,
            "kind": kind,
            "source": source,
            **fields,
        }
        body = json.dumps(command, default=str, ensure_ascii=False)
        self._client.xadd(STREAM, {"command": body})
        return str(command["id"])
