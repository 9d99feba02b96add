"""`/metrics`: what the database says, of a bounded number of accounts, to whoever may know."""

import httpx
import pytest
from harness import Layby
from prometheus_client.parser import text_string_to_metric_families
from web_door import Door

from domain.access import INSTALLATION, Role
from ops.servers import Servers
from web import metrics

Series = dict[tuple[str, ...], float]


def scrape(client: httpx.Client) -> dict[str, Series]:
    answered = client.get("/metrics")
    assert answered.status_code == 200, answered.text
    assert answered.headers["content-type"].startswith("text/plain")
    found: dict[str, Series] = {}
    for family in text_string_to_metric_families(answered.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_gauges_tell_what_is_in_the_database(layby: Layby, door: Door) -> None:
    layby.set_up()
    layby.on_schedule("ann", "bob", "cid", "dee", "eve")
    layby.accept("pause", customers=["ann"])
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE pending SET due_at = due_at - interval '1 hour' WHERE customer = 'ann'; "
            "UPDATE pending SET due_at = due_at + interval '1 day' WHERE customer = 'cid'; "
            "UPDATE pending SET due_at = due_at + interval '1 minute' WHERE customer = 'dee'; "
            "UPDATE pending SET due_at = due_at + interval '1 hour' WHERE customer = 'eve'; "
            "INSERT INTO commands (account, command, kind, digest, door, state) "
            "VALUES ('', 'x', '', '', 'stream', 'quarantined')"
        )
    with door.client() as client:
        told = scrape(client)
    email, sms = ("acme", "email"), ("acme", "sms")
    assert told["layby_sends_due"] == {email: 2, sms: 0}
    assert told["layby_sends_next_hour"] == {email: 2, sms: 0}
    assert told["layby_sends_started"] == {email: 0, sms: 0}
    assert told["layby_oldest_due_age_seconds"] == {email: 3600, sms: 0}
    assert told["layby_commands_waiting"] == {("acme",): 1}
    assert told["layby_oldest_command_age_seconds"][("acme",)] >= 0
    assert told["layby_commands_quarantined"] == {(): 1}


def test_started_and_unknown_are_counted_by_account_and_channel(layby: Layby, door: Door) -> None:
    layby.set_up()
    layby.on_schedule("ann", "bob", "cid", "dee")
    layby.deliver()
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE sends SET state = 'unknown' WHERE customer IN ('ann', 'cid'); "
            "UPDATE sends SET settled_at = settled_at - interval '60 days' WHERE customer = 'cid'"
        )
        connection.exec_driver_sql(
            """
            INSERT INTO started (account, token, enrolment, slot, customer, step, channel,
                                 planned_at, attempts, template, template_version, recipient_hash,
                                 decision, business_at, lease_seconds, worker)
            SELECT account, gen_random_uuid(), enrolment, slot, customer, step, channel, planned_at,
                   1, 'nudge', 1, '', '{}', now(), 30, 'w' FROM pending WHERE customer = 'bob'
            """
        )
    with door.client() as client:
        told = scrape(client)
    assert told["layby_sends_unknown"] == {("acme", "email"): 2}, "however old"
    assert told["layby_sends_started"] == {("acme", "email"): 0, ("acme", "sms"): 1}


def test_number_of_series_is_bounded_and_nothing_is_left_out(
    layby: Layby, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The busiest accounts by name, the others together: the sum stays true."""
    monkeypatch.setattr(metrics, "ACCOUNTS_AT_MOST", 2)
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            """
            INSERT INTO commands (account, command, kind, digest, door, state)
            SELECT 'a-' || account, n::text, 'pause', '', 'test', 'accepted'
            FROM generate_series(1, 5) AS account, generate_series(1, account) AS n
            """
        )
    with door.client() as client:
        told = scrape(client)["layby_commands_waiting"]
    assert told == {("a-5",): 5, ("a-4",): 4, (metrics.OTHERS,): 6}


def test_requests_are_counted_by_route_and_never_by_path(door: Door) -> None:
    with door.client(door.token()) as client:
        client.get("/v1/customers/ann")
        client.get("/v1/customers/bob")
        client.get("/nonesuch/secret")
        client.request("BREW", "/v1/queues")
        told = scrape(client)["layby_http_requests_total"]
    assert told[("GET", "/v1/customers/{customer}", "404")] == 2
    assert told[("GET", "(nowhere)", "404")] == 1
    assert told[("(other)", "/v1/queues", "405")] == 1
    assert not any("secret" in "".join(labels) for labels in told)


def test_measurements_are_for_this_machine_or_for_a_token_of_the_installation(
    door: Door,
) -> None:
    """A proxy on this machine must not open them to everybody."""
    tokens = {
        200: door.token(INSTALLATION, Role.VIEWER),
        403: door.token("acme", Role.ADMIN),
        401: "nobody",
    }
    with door.client() as client:
        assert client.get("/metrics").status_code == 200
        for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
            assert client.get("/metrics", headers={name: "x"}).status_code == 401, name
    for status, token in tokens.items():
        with door.client(token) as client:
            assert client.get("/metrics", headers={"Via": "x"}).status_code == status


def test_door_open_to_the_network_asks_for_a_token_before_it_tells_measurements(
    layby: Layby, servers: Servers
) -> None:
    """Bound to an address that is not this machine's alone."""
    with Door(layby.engine, servers.redis_url, host="0.0.0.0") as door, door.client() as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/healthz").status_code == 200
