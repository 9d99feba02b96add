"""G8 at the HTTP door: a token of one account neither sees nor touches another, on every route."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from harness import Layby
from web_door import ND_JSON, Door, command, lines

from domain.access import INSTALLATION, Role
from web.app import openapi_document

Asked = tuple[str, str, dict[str, Any]]


class Globex(Layby):
    account = "globex"


@pytest.fixture
def globex(layby: Layby) -> Iterator[Layby]:
    """The neighbour: a customer with a send due, a command and a token, all of names of its own."""
    layby.set_up()
    with Globex(layby.engine, layby.outbox) as neighbour:
        neighbour.set_up()
        neighbour.on_schedule("gina")
        neighbour.accept("pause", customers=["gina"])
        yield neighbour


FOREIGN = {"command": "cmd-1", "customer": "gina", "account": "globex"}
NOWHERE = {"command": "cmd-404", "customer": "nobody", "account": "nonesuch"}


def cases(names: dict[str, str], token: str) -> dict[str, list[Asked]]:
    """For each operation, every way to name something of another account."""
    of, customer = names["account"], names["customer"]
    move = {**command("x", "move_to_directory", customers=[customer]), "account": of}
    return {
        "POST /v1/commands": [
            ("POST", "/v1/commands", {"json": move}),
            ("POST", "/v1/commands", {"json": [move]}),
            ("POST", "/v1/commands?wait=done", {"content": lines(move), "headers": ND_JSON}),
        ],
        "GET /v1/commands/{command}": [
            ("GET", f"/v1/commands/{names['command']}?account={of}", {}),
        ],
        "GET /v1/customers": [("GET", f"/v1/customers?account={of}", {})],
        "GET /v1/customers/{customer}": [
            ("GET", f"/v1/customers/{customer}", {}),
            ("GET", f"/v1/customers/{customer}?account={of}", {}),
        ],
        "GET /v1/customers/{customer}/timeline": [
            ("GET", f"/v1/customers/{customer}/timeline", {}),
            ("GET", f"/v1/customers/{customer}/timeline?account={of}", {}),
        ],
        "GET /v1/forecast": [
            ("GET", f"/v1/forecast?account={of}", {}),
            ("GET", f"/v1/forecast?customer={customer}", {}),
        ],
        "GET /v1/queues": [("GET", f"/v1/queues?account={of}", {})],
        "POST /v1/tick": [],
        "POST /v1/tokens": [("POST", "/v1/tokens", {"json": {"role": "viewer", "account": of}})],
        "GET /v1/tokens": [],
        "DELETE /v1/tokens/{token}": [("DELETE", f"/v1/tokens/{token}", {})],
    }


def test_every_route_answers_of_another_account_as_of_one_that_is_not_there(
    globex: Layby, door: Door, admin: httpx.Client
) -> None:
    """403 or 404, word for word the same, and nothing is changed."""
    theirs = door.token("globex").split("_")[1]
    before = _all_of(globex)
    there, nowhere = cases(FOREIGN, theirs), cases(NOWHERE, "f" * 16)
    for route, asked in there.items():
        for one, other in zip(asked, nowhere[route], strict=True):
            answered, reference = (_ask(admin, *each) for each in (one, other))
            assert answered[0] in (403, 404), one
            assert answered == reference, one
    assert _all_of(globex) == before


def test_there_is_a_case_for_every_route() -> None:
    """One that is added without a thought of other accounts fails here."""
    described = {
        f"{method.upper()} {path}"
        for path, operations in openapi_document()["paths"].items()
        for method in operations
        if path.startswith("/v1/")
    }
    assert described == set(cases(FOREIGN, ""))


def test_lists_hold_what_is_of_the_own_account_only(
    globex: Layby, layby: Layby, door: Door, admin: httpx.Client
) -> None:
    """Where both have a customer and a command of the same name, each sees its own."""
    layby.add("gina")
    layby.accept("pause", customers=["gina"])
    door.token("globex")
    for path in ("/v1/customers", "/v1/queues", "/v1/tokens", "/v1/customers/gina"):
        told = admin.get(path).text
        assert '"acme"' in told
        assert "globex" not in told, path
    assert admin.get("/v1/customers/gina").json()["place"] == "reserve"
    assert admin.get("/v1/commands/cmd-1").json()["account"] == "acme"
    assert globex.one("SELECT count(*) FROM customers WHERE customer = 'gina'") == 2


def test_cursor_of_another_account_leads_nowhere_else(
    globex: Layby, layby: Layby, door: Door, admin: httpx.Client
) -> None:
    layby.add("ann")
    globex.add("zoe")
    with door.client(door.token(INSTALLATION)) as all_of_them:
        cursor = all_of_them.get("/v1/customers?limit=1").json()["next"]
        rest = all_of_them.get("/v1/customers", params={"cursor": cursor}).json()["customers"]
    assert {one["account"] for one in rest} == {"globex"}
    mine = admin.get("/v1/customers", params={"cursor": cursor}).json()
    assert mine == {"customers": [], "next": None}


def test_tick_of_one_account_rings_for_that_account_only(
    globex: Layby, layby: Layby, door: Door, admin: httpx.Client, redis_client: Any
) -> None:
    """The neighbour has something due and a command waiting, and a started send past its time."""
    layby.on_schedule("ann")
    _leave_started(globex)
    assert admin.post("/v1/tick").json() == {"rung": 1, "rescued": 0, "quiet": 0}
    assert admin.post("/v1/tick").json() == {"rung": 1, "rescued": 0, "quiet": 0}
    assert [key for key in redis_client.keys("layby:ring:*") if b"globex" in key] == []
    assert globex.one("SELECT count(*) FROM started") == 1
    with door.client(door.token(INSTALLATION, Role.OPERATOR)) as installation:
        ticked = installation.post("/v1/tick").json()
    assert (ticked["rung"] > 1, ticked["rescued"]) == (True, 1)
    assert globex.one("SELECT count(*) FROM started") == 0


def test_token_of_the_installation_reaches_every_account(
    globex: Layby, layby: Layby, door: Door
) -> None:
    """What several accounts have is told apart by `account`."""
    layby.add("gina")
    with door.client(door.token(INSTALLATION)) as client:
        assert client.get("/v1/customers/gina").status_code == 409
        assert client.get("/v1/customers/gina?account=globex").json()["place"] == "active"
        assert {one["account"] for one in client.get("/v1/customers").json()["customers"]} == {
            *("acme", "globex")
        }
        sent = client.post("/v1/commands", json=_move())
        assert sent.status_code == 202
        made = client.post("/v1/tokens", json={"role": "viewer", "account": "globex"})
        assert made.json()["account"] == "globex"
        assert client.delete(f"/v1/tokens/{made.json()['token']}").status_code == 204
    assert globex.apply("x").state == "applied"


def _move() -> dict[str, Any]:
    return {**command("x", "move_to_directory", customers=["gina"]), "account": "globex"}


def _ask(client: httpx.Client, method: str, path: str, more: dict[str, Any]) -> tuple[int, Any]:
    answered = client.request(method, path, **more)
    return answered.status_code, json.loads(answered.text)


def _all_of(layby: Layby) -> list[list[tuple[Any, ...]]]:
    """What the account has, down to its tokens."""
    tables = ("commands", "command_targets", "customers", "pending", "journal", "tokens")
    return [
        layby.rows(f"SELECT * FROM {table} WHERE account = :account ORDER BY 1, 2", account=of)
        for table in tables
        for of in (layby.account, "nonesuch", INSTALLATION)
    ]


def _leave_started(layby: Layby) -> None:
    """A send that a worker of old left behind, its lease over at once."""
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            """
            WITH taken AS (DELETE FROM pending WHERE account = 'globex' RETURNING *)
            INSERT INTO started (account, token, enrolment, slot, customer, step, channel,
                                 planned_at, attempts, template, template_version, recipient_hash,
                                 decision, business_at, lease_seconds, worker)
            SELECT account, gen_random_uuid(), enrolment, slot, customer, step, channel, planned_at,
                   1, 'hello', 1, '', '{}', now(), -1, 'gone' FROM taken
            """
        )
