"""The HTTP door as its callers see it: real uvicorn on a free port, a real database and Redis."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import httpx
from harness import KEY

from domain.access import Role
from storage.database import Engine
from web.address import listen
from web.bearer import make_token
from web.serve import WebServer
from workers.broker import RedisBell, connect_redis_impatiently, make_broker

ND_JSON = {"Content-Type": "application/x-ndjson"}


class Door:
    """A server in a thread, and tokens for it."""

    def __init__(self, engine: Engine, redis_url: str, host: str = "127.0.0.1") -> None:
        self.engine = engine
        bell = RedisBell(make_broker(connect_redis_impatiently(redis_url)))
        self.server = WebServer(engine, bell, redis_url, KEY, listen(host, 0))
        self.url = self.server.url
        host, port = self.url.removeprefix("http://").rsplit(":", 1)
        self.address = (host, int(port))
        self._stopped = False

    def token(self, account: str = "acme", role: Role = Role.ADMIN, days: int = 1) -> str:
        with self.engine.begin() as connection:
            _, secret = make_token(
                connection,
                KEY,
                account=account,
                role=role,
                label="test",
                made_by="test",
                life=timedelta(days=days),
            )
        return secret

    @contextmanager
    def client(self, token: str | None = None, **more: Any) -> Iterator[httpx.Client]:
        """A client that sends this token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx.Client(
            base_url=self.url, headers=headers, timeout=30, trust_env=False, **more
        ) as client:
            yield client

    def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self.server.stop()

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()


def command(name: str, kind: str, /, **fields: Any) -> dict[str, Any]:
    return {"id": name, "account": "acme", "kind": kind, **fields}


def lines(*commands: object) -> bytes:
    """One a line; what is given as bytes stays as it is."""
    return b"\n".join(
        one if isinstance(one, bytes) else json.dumps(one).encode() for one in commands
    )
