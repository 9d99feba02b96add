"""Customers and queues by HTTP: pages that miss nobody, and no personal data."""

from itertools import chain
from typing import Any

import httpx
import pytest
from harness import Layby, numbered
from web_door import Door

from domain.access import Role
from storage import reports


def pages(client: httpx.Client, **query: Any) -> list[list[str]]:
    """The customers of each page, following `next` to the end."""
    found = []
    cursor: str | None = None
    while True:
        page = client.get("/v1/customers", params={**query, "cursor": cursor} if cursor else query)
        assert page.status_code == 200, page.text
        found.append([one["customer"] for one in page.json()["customers"]])
        cursor = page.json()["next"]
        if cursor is None:
            return found
        assert len(found) < 20, "it never ends"


def test_pages_together_hold_every_customer_once(layby: Layby, admin: httpx.Client) -> None:
    layby.set_up()
    layby.add(*numbered("c", 7))
    everybody = sorted(numbered("c", 7))
    for limit in (1, 3, 7, 100):
        assert list(chain.from_iterable(pages(admin, limit=limit))) == everybody
    assert pages(admin, limit=7) == [everybody], "no empty page at the end"


def test_page_goes_on_where_the_last_one_ended_whatever_is_added(
    layby: Layby, admin: httpx.Client
) -> None:
    """By key and not by offset: an addition before shifts nobody over the edge."""
    layby.set_up()
    layby.add("b", "d", "f")
    first = admin.get("/v1/customers?limit=2").json()
    layby.add("a", "c", "e")
    rest = admin.get("/v1/customers", params={"cursor": first["next"]}).json()
    assert [one["customer"] for one in first["customers"]] == ["b", "d"]
    assert [one["customer"] for one in rest["customers"]] == ["e", "f"]


def test_customers_are_found_by_place_and_status(layby: Layby, admin: httpx.Client) -> None:
    layby.set_up()
    layby.on_schedule("ann", "bob")
    layby.add("cid")
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE slots SET status = 'late' WHERE customer = 'bob'")
    assert pages(admin, place="reserve") == [["cid"]]
    assert pages(admin, place="active", limit=1) == [["ann"], ["bob"]]
    assert pages(admin, status="late") == [["bob"]]
    assert pages(admin, place="reserve", status="late") == [[]]


def test_a_customers_story_is_told_without_personal_data(layby: Layby, admin: httpx.Client) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    layby.deliver()
    stop = layby.must("opt_out", number="+80012345678", schedule="dunning", source="sms")
    layby.must("block", domain="example.org")
    who = admin.get("/v1/customers/ann")
    assert (who.json()["place"], who.json()["has_email"]) == ("active", True)
    first, second = who.json()["suppressions"]
    assert (first["kind"], first["by"], first["channel"]) == ("blocked", "domain", "email")
    assert (second["kind"], second["by"], second["schedule"]) == ("opted_out", "number", "dunning")
    assert (second["command"], second["source"]) == (stop.id, "sms")
    story = admin.get("/v1/customers/ann/timeline")
    events = [one["event"] for one in story.json()["events"]]
    assert (events[0], "send_sent" in events) == ("customer_added", True)
    for told in (who, story):
        assert "example.org" not in told.text
        assert "80012345678" not in told.text


def test_a_story_is_told_page_by_page_whatever_is_added(layby: Layby, admin: httpx.Client) -> None:
    """The latest page first, and each before the one that came later: none is missed or doubled.

    Not even of those that were recorded at the same moment.
    """
    layby.set_up()
    layby.on_schedule("ann")
    layby.deliver()
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE journal SET recorded_at = '2026-01-05T08:00Z'")
    whole = admin.get("/v1/customers/ann/timeline").json()["events"]
    assert len(whole) > 3
    told: list[Any] = []
    before: dict[str, str] = {}
    while True:
        page = admin.get("/v1/customers/ann/timeline", params={"limit": "2", **before}).json()
        told = page["events"] + told
        layby.must("update_customer", customers=["ann"], profile={"language": "de"})
        if page["before"] is None:
            break
        before = {"before": page["before"]}
    assert told == whole
    nonsense = admin.get("/v1/customers/ann/timeline", params={"before": "W10"})
    assert (nonsense.status_code, "before" in nonsense.json()["detail"]) == (422, True)


def test_what_would_go_out_is_told_page_by_page(layby: Layby, admin: httpx.Client) -> None:
    layby.set_up()
    layby.on_schedule("ann", "bob")
    layby.add("cid")
    whole = admin.get("/v1/forecast", params={"days": 7}).json()
    assert [(one["customer"], one["step"], one["outlook"]) for one in whole["sends"]] == [
        (customer, step, "sent") for customer in ("ann", "bob") for step in (1, 2, 3)
    ]
    first = admin.get("/v1/forecast", params={"days": 7, "limit": 1}).json()
    rest = admin.get("/v1/forecast", params={"days": 7, "limit": 1, "cursor": first["next"]}).json()
    assert first["sends"] + rest["sends"] == whole["sends"]
    assert "no payment" in whole["assumes"]
    one = admin.get("/v1/forecast", params={"customer": "bob", "days": 1}).json()
    assert [(each["customer"], each["step"]) for each in one["sends"]] == [("bob", 1), ("bob", 2)]
    assert admin.get("/v1/forecast", params={"customer": "dan"}).status_code == 404


def test_customer_called_like_a_route_is_a_customer(layby: Layby, admin: httpx.Client) -> None:
    layby.set_up()
    layby.add("ann", "ann/timeline")
    assert admin.get("/v1/customers/ann%2Ftimeline").json()["customer"] == "ann/timeline"
    assert admin.get("/v1/customers/ann/timeline").json()["customer"] == "ann"
    assert "events" in admin.get("/v1/customers/ann%2ftimeline/timeline").json()


def test_queues_tell_what_is_due_later_and_waiting(layby: Layby, admin: httpx.Client) -> None:
    layby.set_up()
    layby.on_schedule("ann", "bob")
    layby.accept("pause", customers=["ann"])
    queues = {one["queue"]: one for one in admin.get("/v1/queues").json()["queues"]}
    assert (queues["email"]["due"], queues["lifecycle"]["due"]) == (2, 1)


def test_queues_count_what_is_for_later_so_far_or_to_the_end(
    layby: Layby, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "LATER_AT_MOST", 1)
    layby.set_up()
    layby.on_schedule("ann", "bob")
    layby.deliver()
    for asked, told in (("", (1, True)), ("?exact=false", (1, True)), ("?exact=true", (2, False))):
        (one,) = admin.get(f"/v1/queues{asked}").json()["queues"]
        assert (one["later"], one["more"]) == told


def test_viewer_may_read_everything(layby: Layby, door: Door) -> None:
    layby.set_up()
    layby.add("ann")
    with door.client(door.token(role=Role.VIEWER)) as client:
        for path in ("/v1/customers", "/v1/customers/ann", "/v1/queues", "/v1/commands/cmd-1"):
            assert client.get(path).status_code == 200, path
