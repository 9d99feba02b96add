"""Waiting for an outcome: hundreds at once, on no thread, asked for by one query at a time."""

import asyncio
import json
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from harness import Layby
from patience import until
from web_door import Door, command

from domain.commands import read_command
from storage import inbox
from storage.database import Engine
from storage.outcomes import Name, Reached
from web.services import DATABASE_THREADS
from web.waiting import Ended, Until, Waiters

WAITERS = 400


@pytest.fixture
def customer(layby: Layby) -> Layby:
    layby.set_up()
    layby.on_schedule("ann")
    return layby


@contextmanager
def asked_meanwhile(client: httpx.Client, door: Door, **query: Any) -> Iterator[Future[Any]]:
    """A move that is waited for; inside the block it waits."""
    move = command("m", "move_to_directory", customers=["ann"])
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.post, "/v1/commands", params=query, json=move)
        until(lambda: door.server.waiters.count == 1, "the request waits")
        yield answer


def test_request_that_waits_is_answered_once_the_command_is_applied(
    customer: Layby, admin: httpx.Client, door: Door
) -> None:
    with asked_meanwhile(admin, door, wait="done") as answer:
        customer.apply("m")
        answered = answer.result(20)
    assert answered.status_code == 202
    assert answered.headers["layby-wait"] == "reached"
    assert (answered.json()["state"], answered.json()["applied"]) == ("applied", 1)


def test_request_that_waits_for_quiet_is_answered_when_nothing_is_in_progress(
    customer: Layby, admin: httpx.Client, door: Door
) -> None:
    """Done is not quiet: a send had been started when the move came."""
    _start_a_send(customer)
    with asked_meanwhile(admin, door, wait="quiet") as answer:
        assert customer.apply("m").state == "applied"
        _looks(door)
        assert not answer.done()
        with customer.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM started")
        assert admin.post("/v1/tick").json()["quiet"] == 1
        answered = answer.result(20)
    assert answered.headers["layby-wait"] == "reached"
    assert answered.json()["quiet_at"] is not None


def test_wait_that_takes_too_long_is_answered_with_the_outcome_so_far(
    customer: Layby, admin: httpx.Client
) -> None:
    move = command("m", "move_to_directory", customers=["ann"])
    query = {"wait": "quiet", "timeout": "0.05"}
    answered = admin.post("/v1/commands", params=query, json=move)
    assert (answered.status_code, answered.json()["state"]) == (202, "accepted")
    assert answered.headers["layby-wait"] == "timeout"
    customer.apply("m")
    again = admin.get("/v1/commands/m", params={"wait": "quiet"})
    assert (again.headers["layby-wait"], again.json()["state"]) == ("reached", "applied")


def test_wait_for_a_batch_ends_with_the_last_of_it(
    customer: Layby, admin: httpx.Client, door: Door
) -> None:
    """What could not be accepted is not waited for."""
    batch = [
        command("m", "move_to_directory", customers=["ann"]),
        {"id": "x"},
        command("n", "pause", customers=["nobody"]),
    ]
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(admin.post, "/v1/commands", params={"wait": "quiet"}, json=batch)
        until(lambda: door.server.waiters.count == 1, "the request waits")
        customer.apply("m")
        items = answer.result(20).json()
    assert [one["outcome"] and one["outcome"]["state"] for one in items] == [
        *("applied", None, "refused")
    ]


def test_hundreds_wait_in_one_process_while_others_are_answered(
    customer: Layby, door: Door
) -> None:
    """Each waits on a connection of its own, many more than there are threads."""
    assert WAITERS > 40 * DATABASE_THREADS
    asyncio.run(_hundreds(customer, door))


async def _hundreds(layby: Layby, door: Door) -> None:
    token = door.token()
    await _get(door, token, "/v1/customers")
    with layby.engine.begin() as connection:
        inbox.accept(connection, MOVE, "test")
    waiting = [
        asyncio.ensure_future(_get(door, token, "/v1/commands/m?wait=quiet&timeout=60"))
        for _ in range(WAITERS)
    ]
    count = door.server.waiters
    await asyncio.to_thread(until, lambda: count.count == WAITERS, "all of them wait", 40)
    assert "200 OK" in await _get(door, token, "/v1/queues")
    assert not any(one.done() for one in waiting)
    await asyncio.to_thread(layby.apply, "m")
    for answer in await asyncio.gather(*waiting):
        assert "layby-wait: reached" in answer
        assert '"state":"applied"' in answer


MOVE = read_command(json.dumps(command("m", "move_to_directory", customers=["ann"])))


async def _get(door: Door, token: str, path: str) -> str:
    """Over a socket of its own: a client's pool of hundreds is slower than the server."""
    reader, writer = await asyncio.open_connection(*door.address)
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return answer


def test_client_that_goes_away_leaves_no_waiter_behind(
    customer: Layby, admin: httpx.Client, door: Door
) -> None:
    admin.post("/v1/commands", json=command("m", "move_to_directory", customers=["ann"]))
    with socket.create_connection(door.address) as connection:
        head = (
            "GET /v1/commands/m?wait=done HTTP/1.1\r\nHost: layby\r\n"
            f"Authorization: Bearer {door.token()}\r\n\r\n"
        )
        connection.sendall(head.encode())
        until(lambda: door.server.waiters.count == 1, "the request waits")
    until(lambda: door.server.waiters.count == 0, "the waiter is freed")
    assert customer.outcome("m").state == "accepted"


def test_server_that_stops_answers_those_that_wait_with_the_outcome_so_far(
    customer: Layby, admin: httpx.Client, door: Door
) -> None:
    with asked_meanwhile(admin, door, wait="quiet", timeout=60) as answer:
        door.stop()
        answered = answer.result(20)
    assert (answered.status_code, answered.json()["state"]) == (202, "accepted")
    assert answered.headers["layby-wait"] == "stopping"
    assert customer.outcome("m").state == "accepted"


def test_nothing_is_asked_while_nobody_waits_and_one_query_serves_all(engine: Engine) -> None:
    asyncio.run(_queries(engine))


OPEN = Reached(done=False, awaits_quiet=True)


async def _queries(engine: Engine) -> None:
    waiters = Waiters(engine)
    asked: list[set[Name]] = []
    look = waiters._progress  # noqa: SLF001 - what is asked is the matter here

    def watched(names: set[Name]) -> Any:
        asked.append(set(names))
        return dict.fromkeys(names, OPEN) if len(asked) < 3 else look(names)

    waiters._progress = watched  # type: ignore[method-assign] # noqa: SLF001
    never = asyncio.get_running_loop().create_future
    ended = await asyncio.gather(
        *(waiters.wait([("acme", f"c-{n}")], Until.DONE, 20, never()) for n in range(50))
    )
    assert {how for how, _ in ended} == {Ended.REACHED}, "none is ours, so none is waited for"
    assert [len(names) for names in asked] == [50, 50, 50]
    assert waiters.count == 0
    await _until_idle()
    assert len(asked) == 3


async def _until_idle() -> None:
    """Until the poller has ended by itself."""
    for task in asyncio.all_tasks():
        if task.get_name() == "poller":
            await task


def _looks(door: Door) -> None:
    """The poller looks at least twice more."""
    seen = door.server.waiters.queries
    until(lambda: door.server.waiters.queries >= seen + 2, "the poller has looked")


def _start_a_send(layby: Layby) -> None:
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            """
            WITH taken AS (DELETE FROM pending RETURNING *)
            INSERT INTO started (account, token, enrolment, slot, customer, step, channel,
                                 planned_at, attempts, template, template_version, recipient_hash,
                                 decision, business_at, lease_seconds, worker)
            SELECT account, gen_random_uuid(), enrolment, slot, customer, step, channel, planned_at,
                   1, 'hello', 1, '', '{}', now(), 3000, 'gone' FROM taken
            """
        )
