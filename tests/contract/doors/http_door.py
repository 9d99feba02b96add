"""`POST /v1/commands`, one command in a request, to the app under real uvicorn."""

import json
from collections.abc import Sequence

import httpx
from contract.doors.door import Ground, RefusedAtTheDoorError
from web_door import ND_JSON
from web_door import Door as Served

from domain.access import INSTALLATION


class HttpDoor:
    name = "http"

    def __init__(self, ground: Ground) -> None:
        self._served = Served(ground.engine, ground.redis_url).__enter__()
        bearer = {"Authorization": f"Bearer {self._served.token(INSTALLATION)}"}
        self._client = httpx.Client(
            base_url=self._served.url, headers=bearer, timeout=30, trust_env=False
        )

    def submit(self, raw: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        answered = self._client.post("/v1/commands", content=raw, headers=headers)
        match answered.status_code:
            case 202:
                pass
            case 409:  # its id is another command's; it is kept beside that one
                assert "it is kept in quarantine as" in answered.json()["detail"], answered.text
            case 413 | 422:
                raise RefusedAtTheDoorError(answered.json()["detail"])
            case _:
                raise AssertionError(answered.text)

    def submit_all(self, raws: Sequence[bytes]) -> None:
        answered = self._client.post("/v1/commands", content=b"\n".join(raws), headers=ND_JSON)
        if answered.status_code != 202:
            raise RefusedAtTheDoorError(answered.text)
        assert [one["outcome"]["id"] for one in answered.json()] == [
            json.loads(raw)["id"].strip() for raw in raws
        ], "answers are in the order sent"

    def close(self) -> None:
        self._client.close()
        self._served.stop()
