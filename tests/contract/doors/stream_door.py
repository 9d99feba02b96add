"""The Redis stream, by RESP: nothing of Layby, nothing of a Redis client."""

from collections.abc import Sequence

from acceptance.raw_redis import RawRedis
from contract.doors.door import Ground


class StreamDoor:
    name = "stream"

    def __init__(self, ground: Ground) -> None:
        self._producer = RawRedis(ground.redis_url)

    def submit(self, raw: bytes) -> None:
        self._producer.publish(raw)

    def submit_all(self, raws: Sequence[bytes]) -> None:
        for raw in raws:
            self.submit(raw)

    def close(self) -> None:
        self._producer.close()
