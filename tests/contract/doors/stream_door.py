"""The Redis stream, by RESP: nothing of Layby, nothing of a Redis client."""

from acceptance.raw_redis import RawRedis
from contract.doors.door import Ground


class StreamDoor:
    name = "stream"

    def __init__(self, ground: Ground) -> None:
        self._producer = RawRedis(ground.redis_url)

    def submit(self, raw: bytes) -> None:
        self._producer.publish(raw)

    def close(self) -> None:
        self._producer.close()
