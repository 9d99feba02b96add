"""Commands by HTTP: what is accepted, what is not, and that each is told."""

import json

import httpx
import pytest
from harness import Layby
from web_door import ND_JSON, Door, command, lines

from domain.access import Role
from web.body import BATCH_AT_MOST

PLAN = command("p", "put_account", active_limit=10)
ADD = command("a", "add_customer", customers=["ann"])


def test_one_command_is_accepted_with_its_outcome_so_far_and_rung_for(
    layby: Layby, admin: httpx.Client
) -> None:
    answered = admin.post("/v1/commands", json=PLAN)
    assert answered.status_code == 202
    assert (answered.json()["id"], answered.json()["state"]) == ("p", "accepted")
    assert "unquiet" not in answered.json()
    assert layby.one("SELECT door FROM commands") == "http"
    assert layby.apply("p").state == "applied"
    assert admin.get("/v1/commands/p").json()["state"] == "applied"


def test_accepting_rings_the_bell(admin: httpx.Client, redis_client: object) -> None:
    admin.post("/v1/commands", json=PLAN)
    assert redis_client.exists("layby:ring:lifecycle:acme")  # type: ignore[attr-defined]


def test_same_command_again_is_the_same_and_another_under_its_id_is_told(
    layby: Layby, admin: httpx.Client
) -> None:
    """What was accepted first stays; the other one is kept in quarantine, as by every door."""
    first = admin.post("/v1/commands", json=PLAN)
    again = admin.post("/v1/commands", json=PLAN)
    assert (again.status_code, again.json()) == (202, first.json())
    other = admin.post("/v1/commands", json={**PLAN, "active_limit": 99})
    assert other.status_code == 409
    assert other.json()["type"] == "urn:layby:problem:id-taken"
    assert "quarantine as p#" in other.json()["detail"]
    assert layby.rows("SELECT state FROM commands ORDER BY seq") == [
        ("accepted",),
        ("quarantined",),
    ]


@pytest.mark.parametrize("form", ["list", "lines"])
def test_one_bad_command_of_a_batch_loses_none_of_the_others(
    layby: Layby, admin: httpx.Client, form: str
) -> None:
    """Each item is told what became of it, in the batch's own order."""
    bad = {"id": "x", "account": "acme", "kind": "explode"}
    foreign = {**ADD, "account": "globex", "id": "f"}
    batch = [PLAN, bad, ADD, foreign]
    if form == "list":
        answered = admin.post("/v1/commands", json=batch)
    else:
        content = lines(PLAN, b"", bad, b"  ", ADD, foreign)
        answered = admin.post("/v1/commands", content=content, headers=ND_JSON)
    assert answered.status_code == 207
    assert [one["status"] for one in answered.json()] == [202, 422, 202, 403]
    assert [one["outcome"] and one["outcome"]["id"] for one in answered.json()] == [
        *("p", None, "a", None)
    ]
    assert answered.json()[1]["problem"]["detail"].startswith("kind: is not one of ")
    assert [row[0] for row in layby.rows("SELECT command FROM commands ORDER BY seq")] == ["p", "a"]
    assert layby.apply("a").state == "applied"


def test_line_that_is_no_json_loses_none_of_the_others(layby: Layby, admin: httpx.Client) -> None:
    content = lines(b'{"id": ', PLAN, b"\xff\xfe", b"[" * 10_000)
    answered = admin.post("/v1/commands", content=content, headers=ND_JSON)
    assert [one["status"] for one in answered.json()] == [422, 202, 422, 422]
    assert layby.one("SELECT count(*) FROM commands") == 1


def test_whole_batch_accepted_is_202_and_none_of_it_a_problem(
    layby: Layby, admin: httpx.Client
) -> None:
    """A client that looks at the status alone is told the truth."""
    assert admin.post("/v1/commands", json=[PLAN, ADD]).status_code == 202
    none = admin.post("/v1/commands", json=[{"id": "x"}, 7])
    assert none.status_code == 422
    assert none.headers["content-type"] == "application/problem+json"
    assert [one["status"] for one in none.json()["items"]] == [422, 422]
    assert layby.one("SELECT count(*) FROM commands") == 2


def test_batch_is_accepted_in_its_order(layby: Layby, admin: httpx.Client) -> None:
    batch = [PLAN, ADD, command("b", "activate", customers=["ann"])]
    admin.post("/v1/commands", content=lines(*batch), headers=ND_JSON)
    assert layby.apply("b").state == "applied"


def test_batch_is_bounded_and_an_empty_one_is_told(admin: httpx.Client, layby: Layby) -> None:
    many = [{**ADD, "id": f"a-{number}"} for number in range(BATCH_AT_MOST + 1)]
    assert admin.post("/v1/commands", json=many).status_code == 413
    assert admin.post("/v1/commands", json=[]).status_code == 422
    assert admin.post("/v1/commands", content=b"\n", headers=ND_JSON).status_code == 422
    assert layby.one("SELECT count(*) FROM commands") == 0


def test_what_the_database_cannot_keep_costs_only_itself(layby: Layby, admin: httpx.Client) -> None:
    """A column's check stands for whatever our own models let through."""
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE commands ADD CHECK (command <> 'x')")
    batch = [PLAN, {**ADD, "id": "x"}, ADD]
    answered = admin.post("/v1/commands", json=batch)
    assert [one["status"] for one in answered.json()] == [202, 422, 202]
    assert layby.one("SELECT count(*) FROM commands") == 2


def test_unreadable_command_is_refused_without_what_it_says(
    layby: Layby, admin: httpx.Client
) -> None:
    secret = {**ADD, "profile": {"email": "hunter2"}}
    answered = admin.post("/v1/commands", json=secret)
    assert answered.status_code == 422
    assert answered.json()["type"] == "urn:layby:problem:unreadable"
    assert answered.json()["detail"].startswith("profile.email: ")
    assert "hunter2" not in answered.text
    assert layby.one("SELECT count(*) FROM commands") == 0


def test_each_role_sends_what_it_may(layby: Layby, door: Door) -> None:
    """A viewer nothing, an operator customers' commands, an admin set-up as well."""
    expected = {Role.VIEWER: (403, 403), Role.OPERATOR: (202, 403), Role.ADMIN: (202, 202)}
    for role, statuses in expected.items():
        with door.client(door.token(role=role)) as client:
            given = tuple(
                client.post("/v1/commands", json={**one, "id": f"{one['id']}-{role}"}).status_code
                for one in (ADD, PLAN)
            )
            assert given == statuses, role
    assert layby.one("SELECT count(*) FROM commands") == 3


def test_command_of_an_id_with_a_slash_is_found(layby: Layby, admin: httpx.Client) -> None:
    admin.post("/v1/commands", json={**PLAN, "id": "inv/7@x+1"})
    assert layby.apply("inv/7@x+1").state == "applied"
    assert admin.get("/v1/commands/inv%2F7@x+1").json()["id"] == "inv/7@x+1"
    assert admin.get("/v1/commands/inv/7@x+1").status_code == 404


def test_byte_order_mark_is_let_pass(admin: httpx.Client) -> None:
    content = b"\xef\xbb\xbf" + json.dumps(PLAN).encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert admin.post("/v1/commands", content=content, headers=headers).status_code == 202
