"""Whatever is wrong is told as RFC 9457 has it, and nothing is half done."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from harness import Layby
from opentelemetry import trace
from web_door import Door, command

from config.settings import Settings
from domain.commands import MAX_BYTES
from ops.check_command import door_result
from ops.servers import Servers
from storage.database import connect
from web import body
from web.app import openapi_document
from web.protocol import PatientProtocol

DOCUMENT = openapi_document()
ADDRESSES = [
    *((path, method) for path, methods in DOCUMENT["paths"].items() for method in methods),
    ("/openapi.json", "get"),
]

TYPES = {
    400: "bad-request",
    401: "unauthorized",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-timeout",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid-request",
    503: "service-unavailable",
}


def assert_problem(answered: httpx.Response, status: int, *words: str) -> None:
    assert answered.status_code == status, answered.text
    assert answered.headers["content-type"] == "application/problem+json"
    told = answered.json()
    assert told["status"] == status
    assert told["type"] == f"urn:layby:problem:{TYPES[status]}"
    assert told["title"]
    for word in words:
        assert word in told["detail"], told


def test_mistakes_in_a_request_are_problems(admin: httpx.Client) -> None:
    assert_problem(admin.get("/nonesuch"), 404, "/openapi.json")
    assert_problem(admin.get("/v1/commands/none"), 404, "same id")
    assert_problem(admin.get("/v1/customers/none"), 404, "GET /v1/customers")
    assert_problem(admin.get("/v1/customers/none/timeline"), 404)
    assert_problem(admin.delete("/v1/tokens/none"), 404)
    assert_problem(admin.get("/v1/customers?limit=0"), 422, "query.limit")
    assert_problem(admin.get("/v1/customers?place=moon"), 422, "query.place")
    assert_problem(admin.get("/v1/customers?account=%00"), 422, "query.account")
    assert_problem(admin.get("/v1/customers/%00"), 422, "path.customer")
    assert_problem(admin.get("/v1/commands/x?wait=ever"), 422, "query.wait")
    assert_problem(admin.get("/v1/commands/x?wait=done&timeout=1e9"), 422, "query.timeout")
    assert_problem(admin.get("/v1/commands/x?timeout=nan"), 422, "query.timeout")
    for cursor in ("x", "W10", "eyJ9", "WzEsMl0", "WyJhXHUwMDAwIiwiYiJd", "\xe9"):
        assert_problem(admin.get("/v1/customers", params={"cursor": cursor}), 422, "cursor")
        assert_problem(admin.get("/v1/forecast", params={"cursor": cursor}), 422, "cursor")
    assert_problem(admin.post("/v1/tokens", json={"role": "king"}), 422, "role")
    assert_problem(admin.post("/v1/tokens", json={"role": "viewer", "more": 1}), 422, "more")
    assert_problem(admin.post("/v1/tokens", content=b"{"), 415)


def test_parameter_that_an_address_has_not_is_refused_with_those_that_there_are(
    layby: Layby, admin: httpx.Client
) -> None:
    """`?wati=quiet` would answer as if nothing had been asked."""
    for path, method in ADDRESSES:
        at = path.format(customer="ann", command="x", token="x")
        described = DOCUMENT["paths"].get(path, {}).get(method, {}).get("parameters", ())
        there = sorted(one["name"] for one in described if one["in"] == "query")
        answered = admin.request(method, at, params={"wati": "quiet", "<x>": ""}, json={})
        assert_problem(answered, 422, "query.wati: is not a parameter", "query.…: is not")
        takes = f"It takes: {', '.join(there)}." if there else "It takes no parameters."
        assert answered.json()["detail"].endswith(takes)
        for name in there:
            answered = admin.request(method, at, params=[(name, "1"), (name, "2")], json={})
            assert_problem(answered, 422, f"query.{name}: is given twice")
    assert len(ADDRESSES) > len(DOCUMENT["paths"])
    assert layby.one("SELECT count(*) FROM commands") == 0


def test_parameters_that_an_address_has_are_told_it_whatever_they_say(admin: httpx.Client) -> None:
    assert admin.get("/v1/customers?limit=5&place=active").status_code == 200
    assert admin.head("/v1/customers?limit=5").status_code == 200


def test_name_that_is_given_twice_is_refused_for_its_command_alone(
    layby: Layby, admin: httpx.Client
) -> None:
    """One reader takes the last value, another one the first: silence would become its end."""
    twice = b'{"id": "2", "account": "acme", "kind": "pause", "customers": ["a"], "kind": "resume"}'
    once = json.dumps(command("1", "pause", customers=["a"])).encode()
    headers = {"Content-Type": "application/json"}
    for body_ in (b"[%b, %b ]\n", b"\xef\xbb\xbf [%b,\r\n%b]"):
        answered = admin.post("/v1/commands", content=body_ % (once, twice), headers=headers)
        assert [one["status"] for one in answered.json()] == [202, 422]
        assert "kind: is given twice" in answered.json()[1]["problem"]["detail"]
    nested = once.replace(b'["a"]', b'{"place": "active", "place": "active"}')
    answered = admin.post("/v1/commands", content=nested, headers=headers)
    assert "place: is given twice" in answered.json()["detail"]
    king = b'\xef\xbb\xbf{"role": "viewer", "role": "admin"}'
    assert_problem(admin.post("/v1/tokens", content=king, headers=headers), 422, "role: is given")
    assert layby.rows("SELECT command FROM commands") == [("1",)]


def test_list_that_is_none_is_refused_as_a_whole(admin: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    for listed in (b"[", b"[{}", b"[{},", b"[{},]", b"[,{}]", b"[{}]]", b"[{}] {}", b"[{} {}]"):
        answered = admin.post("/v1/commands", content=listed, headers=headers)
        assert answered.status_code == 422
        assert "The list can't be read" in answered.json()["detail"], listed


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": 'application/x-ndjson;charset="iso-8859-1"'},
        {},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_body_of_another_type_is_told_the_right_one(
    layby: Layby, admin: httpx.Client, headers: dict[str, str]
) -> None:
    content = json.dumps(command("p", "put_account")).encode()
    answered = admin.post("/v1/commands", content=content, headers=headers)
    assert_problem(answered, 415)
    assert "application/json" in answered.headers["accept-post"]
    assert layby.one("SELECT count(*) FROM commands") == 0


def test_method_that_is_not_for_an_address_is_told_those_that_are(admin: httpx.Client) -> None:
    wrong = (("PUT", "/v1/tokens"), ("DELETE", "/v1/customers/x"), ("TRACE", "/v1/tick"))
    for method, path in wrong:
        answered = admin.request(method, path)
        assert_problem(answered, 405, "It takes:")
    assert admin.put("/v1/tokens").headers["allow"] == "GET, HEAD, OPTIONS, POST"
    told = admin.options("/v1/commands")
    assert (told.status_code, told.headers["allow"]) == (204, "OPTIONS, POST")
    assert not any(name.startswith("access-control") for name in told.headers)


def test_head_is_get_without_the_body(admin: httpx.Client) -> None:
    for path in ("/healthz", "/v1/customers", "/openapi.json", "/v1/customers/none"):
        head, get = admin.head(path), admin.get(path)
        assert head.status_code == get.status_code
        assert head.content == b""
        assert head.headers["content-length"] == get.headers["content-length"]


def test_every_answer_forbids_to_be_cached_sniffed_or_framed(admin: httpx.Client) -> None:
    for path in ("/healthz", "/v1/customers", "/nonesuch"):
        headers = admin.get(path, headers={"Origin": "https://evil.example"}).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


def test_body_too_long_is_refused_before_all_of_it_has_come(layby: Layby, door: Door) -> None:
    """By its announced length at once; without one, as soon as it is past the limit."""
    token = door.token()
    announced = f"Content-Length: {MAX_BYTES + 1}\r\n\r\n".encode()
    assert_problem(_raw(door, token, announced), 413, f"{MAX_BYTES:,}", "nothing was accepted")
    chunk = b"%x\r\n" % (MAX_BYTES + 1) + b" " * (MAX_BYTES + 1) + b"\r\n"
    unannounced = b"Transfer-Encoding: chunked\r\n\r\n" + chunk  # and no end of it
    assert_problem(_raw(door, token, unannounced), 413, "nothing was accepted")
    assert layby.one("SELECT count(*) FROM commands") == 0


def test_body_is_not_read_of_who_may_not_send(door: Door) -> None:
    """Else anybody could make the server hold what they like."""
    announced = b"Content-Length: 1000\r\n\r\n"
    assert_problem(_raw(door, "nobody", announced), 401)
    assert_problem(_raw(door, "nobody", announced, "/v1/tokens"), 401)


def test_body_that_dawdles_is_told_so(
    door: Door, layby: Layby, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "BODY_SECONDS", 0.1)
    announced = b'Content-Length: 1000\r\n\r\n{"id": '
    assert_problem(_raw(door, door.token(), announced), 408, "nothing was accepted")
    assert layby.one("SELECT count(*) FROM commands") == 0


def test_head_that_dawdles_is_ended(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has begun is told why; one that says nothing is just closed."""
    monkeypatch.setattr(PatientProtocol, "head_seconds", 0.1)
    with socket.create_connection(door.address, timeout=20) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
        assert_problem(_answer(connection), 408, "head")
    with socket.create_connection(door.address, timeout=20) as connection:
        assert connection.recv(1) == b""


def test_what_is_no_http_is_told_so(door: Door) -> None:
    with socket.create_connection(door.address, timeout=20) as connection:
        connection.sendall(b"HELO layby\r\n\r\n")
        assert_problem(_answer(connection), 400, "HTTP/1.1")
    with socket.create_connection(door.address, timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000)
        assert_problem(_answer(connection), 400, "64 KB")


@pytest.fixture
def cut_off(servers: Servers) -> Iterator[Door]:
    """A door whose database is away."""
    engine = connect("postgresql://layby:hunter2@127.0.0.1:1/layby")
    with Door(engine, servers.redis_url) as door:
        yield door
    engine.dispose()


def test_database_that_is_away_is_told_with_what_became_of_commands(cut_off: Door) -> None:
    """Whether a command was accepted can't be known then; to send it again is safe."""
    with cut_off.client("layby_0123456789abcdef_" + "A" * 43) as client:
        answered = client.post("/v1/commands", json=command("p", "put_account"))
        assert_problem(answered, 503, "send the same again with the same ids")
        assert int(answered.headers["retry-after"]) > 0
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["type"]) == (503, "urn:layby:problem:not-ready")
        assert "PostgreSQL does not answer" in ready.json()["detail"]
        assert "hunter2" not in answered.text + ready.text
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/metrics").status_code == 503


def test_connection_lost_while_idle_is_made_anew_unnoticed(
    layby: Layby, admin: httpx.Client
) -> None:
    assert admin.get("/v1/customers").status_code == 200
    _end_sessions(layby)
    assert admin.get("/v1/customers").status_code == 200
    _end_sessions(layby)
    assert admin.post("/v1/commands", json=command("p", "put_account")).status_code == 202


def test_readiness_asks_for_database_schema_and_redis(layby: Layby, admin: httpx.Client) -> None:
    assert admin.get("/readyz").json() == {"database": "ok", "schema": "ok", "redis": "ok"}
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    behind = admin.get("/readyz")
    assert (behind.status_code, "layby migrate" in behind.json()["detail"]) == (503, True)


def test_redis_that_is_away_costs_readiness_and_no_command(layby: Layby) -> None:
    """The database has the command; the next tick rings for it."""
    with Door(layby.engine, "redis://127.0.0.1:1/0") as door, door.client(door.token()) as client:
        ready = client.get("/readyz")
        assert (ready.status_code, "Redis" in ready.json()["detail"]) == (503, True)
        assert client.post("/v1/commands", json=command("p", "put_account")).status_code == 202
        assert_problem(client.post("/v1/tick"), 503, "Redis took 0 of 1 rings")
    assert layby.outcome("p").state == "accepted"


class Overheard(trace.TracerProvider):
    """What a machine with OpenTelemetry set up gives every program that asks."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_tracer(self, instrumenting_module_name: str, *_: Any, **__: Any) -> trace.Tracer:
        self.asked.append(instrumenting_module_name)
        return trace.NoOpTracer()


def test_machines_own_telemetry_hears_nothing(
    layby: Layby, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastAPI would tell it paths, and exceptions with their messages."""
    overheard = Overheard()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", overheard)
    with Door(layby.engine, servers.redis_url) as door, door.client(door.token()) as client:
        assert client.get("/v1/customers/ann").status_code == 404
    assert overheard.asked == []


def test_check_says_that_a_running_door_has_the_port(door: Door) -> None:
    host, port = door.address
    assert door_result(Settings(http_host=host, http_port=port)).startswith("layby web answers")


def _end_sessions(layby: Layby) -> None:
    """From outside of the pool, so that none of its connections survives as the one that asks."""
    apart = connect(layby.engine.url.render_as_string(hide_password=False), connections=1)
    with apart.connect() as connection:
        ended = connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert ended.all()
    apart.dispose()


def _raw(door: Door, token: str, rest: bytes, path: str = "/v1/commands") -> httpx.Response:
    """A POST whose body never comes to its end."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: layby\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\n"
    )
    with socket.create_connection(door.address, timeout=20) as connection:
        connection.sendall(head.encode() + rest)
        return _answer(connection)


def _answer(connection: socket.socket) -> httpx.Response:
    """What the server says before it closes, or all of what it announces."""
    said = b""
    while chunk := connection.recv(65_536):
        said += chunk
        head, _, content = said.partition(b"\r\n\r\n")
        first, *fields = head.decode().split("\r\n")
        headers = dict(field.split(": ", 1) for field in fields)
        if len(content) == int(headers.get("content-length", -1)):
            return httpx.Response(int(first.split()[1]), headers=headers, content=content)
    raise AssertionError(f"no whole answer: {said!r}")
