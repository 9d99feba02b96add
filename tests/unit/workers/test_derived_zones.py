"""Customers who have named no zone: it is derived, and again as what it comes from changes."""

from datetime import UTC
from typing import Any

import pytest
from harness import START, Layby
from sqlalchemy import event

from domain.zones import calendar_data
from workers.lifecycle import apply_waiting
from workers.replanning import plan_by_newer_data

BILLS = {
    "anchor": "due_date",
    "steps": [
        {"offset": "P0D", "at": "09:00", "channel": "email", "template": "hello"},
        {"offset": "P1D", "at": "09:00", "channel": "email", "template": "hello"},
    ],
}
PARIS, TOKYO, KOLKATA = "+33612345678", "+81312345678", "+911123456789"


def billed(layby: Layby, *customers: str, **profile: Any) -> None:
    layby.add(*customers, **profile)
    layby.must("activate", customers=list(customers))
    layby.must(
        "assign_schedule", customers=list(customers), schedule="dunning", due_date="2026-01-06"
    )


def hours(layby: Layby) -> dict[str, int]:
    """At which hour in UTC each customer's next send is due."""
    rows = layby.rows("SELECT customer, due_at FROM pending")
    return {customer: at.astimezone(UTC).hour for customer, at in rows}


def test_a_zone_of_ones_own_comes_first_then_the_number_then_the_country(layby: Layby) -> None:
    layby.set_up(schedule=BILLS)
    billed(layby, "own", zone="Asia/Tokyo", phone=PARIS, country="IN")
    billed(layby, "number", phone=PARIS, country="IN")
    billed(layby, "country", phone=None, country="IN")
    billed(layby, "neither", phone="+18005551234", country="US")
    assert hours(layby) == {"own": 0, "number": 8, "country": 3, "neither": 9}


@pytest.mark.parametrize(
    ("change", "hour"),
    [
        ({"phone": TOKYO}, 0),
        ({"phone": None, "country": "IN"}, 3),
        ({"phone": None}, 9),
        ({"zone": "America/New_York"}, 14),
        ({"name": "Anna"}, 8),
    ],
)
def test_a_change_of_number_or_country_plans_what_is_pending_anew(
    layby: Layby, change: dict[str, Any], hour: int
) -> None:
    layby.set_up(schedule=BILLS)
    billed(layby, "ann", phone=PARIS)
    layby.must("update_customer", customers=["ann"], profile=change)
    assert hours(layby) == {"ann": hour}


def test_a_new_country_alone_plans_what_is_pending_anew(layby: Layby) -> None:
    layby.set_up(schedule=BILLS)
    billed(layby, "ann", phone=None, country="IN")
    layby.must("update_customer", customers=["ann"], profile={"country": "FR"})
    assert hours(layby) == {"ann": 8}


def test_who_takes_back_a_zone_is_where_the_number_is(layby: Layby) -> None:
    layby.set_up(schedule=BILLS)
    billed(layby, "ann", phone=PARIS, zone="Asia/Tokyo")
    layby.must("update_customer", customers=["ann"], profile={"phone": KOLKATA})
    assert hours(layby) == {"ann": 0}
    layby.must("update_customer", customers=["ann"], profile={"zone": None})
    assert hours(layby) == {"ann": 3}


def test_what_is_settled_after_a_change_of_number_goes_on_at_the_new_place(layby: Layby) -> None:
    layby.set_up(schedule=BILLS)
    billed(layby, "ann", phone=PARIS)
    layby.now = START.replace(day=6, hour=8)
    layby.must("put_account", test_clock=layby.now)
    layby.deliver()
    layby.must("update_customer", customers=["ann"], profile={"phone": TOKYO})
    assert hours(layby) == {"ann": 0}
    assert layby.one("SELECT derived_zone FROM customers") == "Asia/Tokyo"


def test_a_derived_zone_that_stays_costs_a_settle_no_second_plan(layby: Layby) -> None:
    layby.set_up(schedule=BILLS)
    billed(layby, "ann", phone=PARIS)
    layby.now = START.replace(day=6, hour=8)
    layby.must("put_account", test_clock=layby.now)
    said: list[str] = []
    event.listen(layby.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    layby.deliver()
    assert any("DELETE FROM started" in statement for statement in said)
    assert not any("UPDATE pending" in statement for statement in said)


def test_a_derived_zone_does_not_narrow_where_a_collector_thinks_the_customer_may_be(
    layby: Layby,
) -> None:
    """A New York number and the country alone: it is ten there, and five in Honolulu."""
    layby.set_up(schedule=BILLS)
    layby.must("put_account", rules={"collector": True})
    billed(layby, "ann", phone="+12125551234", country="US")
    layby.now = START.replace(day=6, hour=15)
    layby.must("put_account", test_clock=layby.now)
    layby.deliver()
    assert layby.rows("SELECT deferred FROM pending") == [("collector",)]


def outdate(layby: Layby, data: str | None) -> None:
    """As an older version has left it: its plans are off by an hour, and zones not derived."""
    with layby.engine.begin() as connection:
        made_with = "NULL" if data is None else f"'{data}'"
        connection.exec_driver_sql(f"UPDATE accounts SET calendar_data = {made_with}")
        connection.exec_driver_sql("UPDATE customers SET derived_zone = NULL")
        connection.exec_driver_sql(
            "UPDATE pending SET planned_at = planned_at + interval '1 hour', "
            "due_at = due_at + interval '1 hour'"
        )


@pytest.mark.parametrize("data", [None, "tzdata 2020.1, holidays 0.1"])
def test_plans_made_with_older_data_are_made_anew_once_and_zones_derived(
    layby: Layby, data: str | None
) -> None:
    """After an upgrade: also for those in the directory, who are planned when they come back."""
    layby.set_up(schedule=BILLS)
    billed(layby, "ann", "bob", phone=PARIS)
    layby.add("cid", phone=TOKYO)
    outdate(layby, data)
    assert plan_by_newer_data(layby.engine) == 1
    apply_waiting(layby.engine, layby.account)
    assert hours(layby) == {"ann": 8, "bob": 8}
    assert layby.rows("SELECT DISTINCT derived_zone FROM customers ORDER BY 1") == [
        ("Asia/Tokyo",),
        ("Europe/Paris",),
    ]
    assert layby.one("SELECT calendar_data FROM accounts") == calendar_data()
    assert layby.one("SELECT replan_after FROM accounts") is None
    assert plan_by_newer_data(layby.engine) == 0


def test_plans_made_with_newer_data_are_left_as_they_are(layby: Layby) -> None:
    """Two versions that run side by side during an upgrade do not undo each other's."""
    layby.set_up(schedule=BILLS)
    billed(layby, "ann", phone=PARIS)
    outdate(layby, "tzdata 2999.1, holidays 9.9")
    assert plan_by_newer_data(layby.engine) == 0
    apply_waiting(layby.engine, layby.account)
    assert hours(layby) == {"ann": 9}
