"""The HTTP door for the contract suite: the app under real uvicorn, in a thread."""

from types import TracebackType
from typing import Self

import httpx
from web_door import Door as Served

from domain.access import INSTALLATION
from storage.database import Engine

_ANSWERS = {202, 409, 422}
"""Accepted; its id is another command's; it can't be read. Anything else is the door's fault."""


class HttpDoor:
    """Sends what it is given as the one command of a request."""

    name = "http"

    def __init__(self, engine: Engine, redis_url: str) -> None:
        self._served = Served(engine, redis_url)
        self._client: httpx.Client | None = None
        self.answered: httpx.Response | None = None
        """To the last command: an unreadable one is refused here, and kept nowhere."""

    def submit(self, raw: bytes) -> None:
        assert self._client is not None, "use it as a context manager"
        headers = {"Content-Type": "application/json"}
        self.answered = self._client.post("/v1/commands", content=raw, headers=headers)
        assert self.answered.status_code in _ANSWERS, self.answered.text

    def __enter__(self) -> Self:
        self._served.__enter__()
        bearer = {"Authorization": f"Bearer {self._served.token(INSTALLATION)}"}
        self._client = httpx.Client(
            base_url=self._served.url, headers=bearer, timeout=30, trust_env=False
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._client is not None:
            self._client.close()
        self._served.stop()
