"""What the door holds of requests: of each, of all together, and of those that wait."""

import json
import socket
import threading
import tracemalloc

import pytest
from fastapi import Request
from harness import Layby
from patience import until
from web_door import Door, command

from web import room
from web.body import BATCH_AT_MOST, raw_commands
from web.problems import ProblemError

BIG = 1_400


@pytest.fixture(autouse=True)
def small_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ROOM_BYTES", 3_000)


def big(name: str, account: str = "acme") -> bytes:
    pause = {**command(name, "pause", customers=["ann"]), "account": account}
    return json.dumps(pause).encode().ljust(BIG)


def status(door: Door, token: str, content: bytes) -> int:
    with door.client(token) as client:
        headers = {"Content-Type": "application/json"}
        answered = client.post("/v1/commands", content=content, headers=headers)
    if answered.status_code == 503:
        assert answered.json()["type"] == "urn:layby:problem:busy"
        assert answered.headers["retry-after"]
    return answered.status_code


def test_bodies_that_come_in_share_room_and_no_account_has_more_than_half(
    layby: Layby, door: Door
) -> None:
    """Else a client with a thousand slow uploads makes the process hold them all."""
    acme, other = door.token("acme"), door.token("other")
    head = (
        f"POST /v1/commands HTTP/1.1\r\nHost: layby\r\nAuthorization: Bearer {acme}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {BIG + 1}\r\n\r\n"
    )
    with socket.create_connection(door.address, timeout=20) as slow:
        slow.sendall(head.encode() + b" " * BIG)
        until(lambda: status(door, acme, big("1")) == 503, "acme's half is taken")
        assert status(door, other, big("2", "other")) == 202
    until(lambda: status(door, acme, big("3")) == 202, "the room is free again")
    assert layby.one("SELECT count(*) FROM commands WHERE command = '3'") == 1


def test_body_is_not_held_while_its_outcome_is_waited_for(layby: Layby, door: Door) -> None:
    """Hundreds may wait, for two minutes each."""
    token = door.token()

    def wait() -> None:
        with door.client(token) as client:
            client.post(
                "/v1/commands?wait=done&timeout=60",
                content=big("first"),
                headers={"Content-Type": "application/json"},
            )

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: layby.one("SELECT count(*) FROM commands"), "the first one is accepted")
    until(lambda: status(door, token, big("second")) == 202, "there is room for another")
    assert waiting.is_alive()
    door.stop()
    waiting.join(20)


@pytest.mark.parametrize(
    ("kind", "body", "times"),
    [
        ("application/x-ndjson", b"1\r\n" * 500_000, 1),
        ("application/json", json.dumps([1] * 300_000).encode(), 5),
    ],
    ids=["lines", "list"],
)
def test_too_many_commands_are_not_split_to_be_counted(kind: str, body: bytes, times: int) -> None:
    """A request of eight million lines would be 400 MB of lines; of a list, its texts anew."""
    request = Request({"type": "http", "headers": [(b"content-type", kind.encode())]})
    tracemalloc.start()
    try:
        with pytest.raises(ProblemError, match=f"at most {BATCH_AT_MOST:,} commands"):
            raw_commands(request, body)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < times * len(body)
