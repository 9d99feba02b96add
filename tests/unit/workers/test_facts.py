"""What each fact does to schedules and status; and that it is recorded wherever a customer is."""

from datetime import date, timedelta
from typing import Any

import pytest
from concurrency.parts import answer, start, started
from harness import START, Layby

from domain.message import Answer
from storage.audit import run_audit
from storage.outcomes import Outcome
from workers.holds import release_some

DAY = timedelta(days=1)
BILL: dict[str, Any] = {
    "anchor": "due_date",
    "steps": [
        {"offset": "P0D", "at": "09:00", "channel": "email", "template": "hello"},
        {
            "offset": "P2D",
            "at": "09:00",
            "channel": "email",
            "template": "hello",
            "sets_status": "late",
        },
        {"offset": "P5D", "at": "09:00", "channel": "email", "template": "hello"},
    ],
}
DUE = date(2026, 1, 6)


@pytest.fixture
def ann(layby: Layby) -> Layby:
    """Ann owes two invoices, each on a schedule that counts from tomorrow."""
    owes(layby, BILL, "i-1", "i-2")
    return layby


def owes(layby: Layby, schedule: dict[str, Any], *references: str) -> None:
    layby.set_up(schedule=schedule)
    layby.add("ann")
    layby.must("activate", customers=["ann"])
    for reference in references:
        assign(layby, reference)


def assign(layby: Layby, reference: str, due: date = DUE) -> Outcome:
    return layby.must(
        "assign_schedule",
        customers=["ann"],
        schedule="dunning",
        reference=reference,
        due_date=str(due),
    )


def fact(layby: Layby, fact: str, **of: Any) -> Outcome:
    return layby.must("record", customers=["ann"], fact={"fact": fact, **of})


def on(layby: Layby, day: int, hour: int = 10) -> None:
    """Go on to a day of January, deliver what is due by then, and see that all is well."""
    layby.travel(START.replace(day=day, hour=hour) - layby.now)
    layby.deliver()
    assert wrong(layby) == {}


def wrong(layby: Layby) -> dict[str, Any]:
    with layby.engine.connect() as connection:
        return {r.check.name: r.violations for r in run_audit(connection) if r.found}


def status(layby: Layby) -> str:
    return str(layby.one("SELECT status FROM slots WHERE customer = 'ann'"))


def sent(layby: Layby) -> list[tuple[str, int, int]]:
    """(reference, step, day of January) of what went out."""
    return layby.rows(
        "SELECT e.reference, s.step, CAST(extract(day FROM s.business_at) AS int) "
        "FROM sends s JOIN enrolments e USING (account, enrolment) WHERE s.state = 'sent' "
        "ORDER BY s.business_at, e.reference"
    )


def held(layby: Layby) -> list[tuple[str, str | None]]:
    return layby.rows(
        "SELECT reference, held FROM enrolments WHERE slot IS NOT NULL ORDER BY reference"
    )


# Payments.


def test_parts_that_reach_the_amount_end_the_schedule(ann: Layby) -> None:
    fact(ann, "invoice", reference="i-1", amount="120.00", currency="EUR")
    fact(ann, "payment", reference="i-1", amount="50.00", currency="EUR", full=False)
    fact(ann, "payment", reference="i-1", amount="69.99", full=False)
    assert len(held(ann)) == 2
    last = fact(ann, "payment", reference="i-1", amount="0.01")
    assert last.cancelled == 1
    assert held(ann) == [("i-2", None)]
    on(ann, 20)
    assert [step for reference, step, _ in sent(ann) if reference == "i-1"] == []


def test_payment_in_another_currency_is_refused_unless_nothing_is_owed_any_more(
    ann: Layby,
) -> None:
    fact(ann, "invoice", reference="i-1", amount="120.00", currency="EUR")
    dollars = {"fact": "payment", "reference": "i-1", "amount": "200.00", "currency": "USD"}
    refused = ann.send("record", customers=["ann"], fact=dollars)
    assert refused.refusals[0].code == "currency"
    assert "Give the amount in EUR" in refused.refusals[0].message
    assert ann.one("SELECT count(*) FROM facts WHERE kind = 'payment'") == 0
    ann.must("record", customers=["ann"], fact={**dollars, "full": True})
    assert held(ann) == [("i-2", None)]


def test_payment_in_part_puts_off_what_comes_and_repeats_and_skips_nothing(ann: Layby) -> None:
    on(ann, 6)
    on(ann, 7)
    fact(ann, "payment", reference="i-1", full=False)
    on(ann, 8)
    on(ann, 9)
    on(ann, 12)
    assert [(step, day) for reference, step, day in sent(ann) if reference == "i-1"] == [
        (0, 6),
        (1, 9),
        (2, 12),
    ]


def test_payment_known_late_counts_from_when_it_was_made(ann: Layby) -> None:
    on(ann, 6)
    on(ann, 7, hour=20)
    before = ann.one("SELECT anchor_date FROM enrolments WHERE reference = 'i-1'")
    fact(ann, "payment", reference="i-1", full=False, paid_at="2026-01-06T12:00:00Z")
    assert ann.one("SELECT anchor_date FROM enrolments WHERE reference = 'i-1'") == before


def test_payment_before_its_invoice_counts(ann: Layby) -> None:
    """Upstream systems keep no order between them."""
    fact(ann, "payment", reference="i-3", amount="80.00", currency="EUR", full=False)
    fact(ann, "payment", reference="i-3", amount="40.00", currency="EUR", full=False)
    assign(ann, "i-3")
    came = fact(ann, "invoice", reference="i-3", amount="120.00", currency="EUR")
    assert came.cancelled == 1
    again = ann.send(
        "assign_schedule",
        customers=["ann"],
        schedule="dunning",
        reference="i-3",
        due_date=str(DUE),
    )
    assert again.refusals[0].code == "paid"
    fact(ann, "invoice", reference="i-3", amount="150.00", currency="EUR")
    assign(ann, "i-3")
    assert wrong(ann) == {}


def test_payment_in_another_currency_before_its_invoice_does_not_count(ann: Layby) -> None:
    """5,000 yen are not 120 euros, whichever is known first."""
    fact(ann, "payment", reference="i-1", amount="5000", currency="JPY", full=False)
    fact(ann, "payment", reference="i-1", amount="50.00", full=False)
    came = fact(ann, "invoice", reference="i-1", amount="120.00", currency="EUR")
    assert came.cancelled == 0
    assert fact(ann, "payment", reference="i-1", amount="70.00").cancelled == 1


def test_credit_note_is_an_invoice_of_less_and_ends_what_is_paid_by_then(ann: Layby) -> None:
    """What an invoice leaves out stays as it was."""
    fact(ann, "invoice", reference="i-1", amount="120.00", currency="EUR")
    fact(ann, "payment", reference="i-1", amount="50.00")
    assert fact(ann, "invoice", reference="i-1", due_date="2026-01-15").cancelled == 0
    assert fact(ann, "invoice", reference="i-1", amount="50.00", currency="EUR").cancelled == 1
    assert wrong(ann) == {}


def test_payment_for_all_ends_all(ann: Layby) -> None:
    fact(ann, "dispute", reference="i-2")
    fact(ann, "promise", until="2026-02-01")
    assert fact(ann, "payment").cancelled == 2
    assert held(ann) == []
    assert status(ann) == "on_track"
    assert ann.rows("SELECT 1 FROM marks") == []


# Invoices.


def test_changed_due_date_moves_what_counts_from_it(ann: Layby) -> None:
    fact(ann, "invoice", reference="i-1", due_date="2026-01-06")
    on(ann, 6)
    fact(ann, "invoice", reference="i-1", due_date="2026-01-15")
    on(ann, 8)
    on(ann, 17)
    assert [(step, day) for reference, step, day in sent(ann) if reference == "i-1"] == [
        (0, 6),
        (1, 17),
    ]


def test_same_due_date_told_again_moves_nothing(ann: Layby) -> None:
    """Billing systems tell all they know every night; a payment in part is not undone by that."""
    fact(ann, "invoice", reference="i-1", due_date="2026-01-06")
    on(ann, 7)
    fact(ann, "payment", reference="i-1", full=False)
    moved = ann.one("SELECT anchor_date FROM enrolments WHERE reference = 'i-1'")
    fact(ann, "invoice", reference="i-1", due_date="2026-01-06", amount="9", currency="EUR")
    assert ann.one("SELECT anchor_date FROM enrolments WHERE reference = 'i-1'") == moved != DUE


def test_due_date_moved_back_is_no_burst(ann: Layby) -> None:
    """The second step has been due for a day now, and the first one went out just before."""
    on(ann, 6)
    fact(ann, "invoice", reference="i-1", due_date="2026-01-03")
    on(ann, 6, hour=12)
    on(ann, 7, hour=9)
    assert [(step, day) for reference, step, day in sent(ann) if reference == "i-1"] == [
        (0, 6),
        (1, 7),
    ]


@pytest.mark.parametrize("answered", [Answer.ACCEPTED, Answer.TEMPORARY])
def test_due_date_that_changes_while_a_step_is_sent_moves_what_follows(
    ann: Layby, answered: Answer
) -> None:
    """The worker that sends it knows the date as it was, and plans the next step by it."""
    ann.travel(START.replace(day=6, hour=10) - ann.now)
    start(ann.engine, ann.account)
    fact(ann, "invoice", reference="i-1", due_date="2026-01-20")
    answer(ann.engine, started(ann.engine, ann.account), answered)
    step, planned = (1, 22) if answered is Answer.ACCEPTED else (0, 20)
    assert ann.rows(
        "SELECT p.step, CAST(extract(day FROM p.due_at) AS int) FROM pending p "
        "JOIN enrolments e USING (account, enrolment) WHERE reference = 'i-1'"
    ) == [(step, planned)]
    assert wrong(ann) == {}


# Promises.


def test_promise_holds_until_its_day_is_over_and_then_goes_on_late(ann: Layby) -> None:
    on(ann, 6)
    held_back = fact(ann, "promise", reference="i-1", until="2026-01-09")
    assert (held_back.cancelled, held_back.started) == (1, 0)
    assert status(ann) == "promised"
    on(ann, 9, hour=23)
    assert held(ann) == [("i-1", "promised"), ("i-2", None)]
    on(ann, 10, hour=0)
    assert status(ann) == "late"
    on(ann, 20)
    assert [(step, day) for reference, step, day in sent(ann) if reference == "i-1"] == [
        (0, 6),
        (1, 10),
    ]
    assert ann.one("SELECT count(*) FROM journal WHERE event = 'promise_broken'") == 1


def test_promise_ends_at_midnight_where_the_customer_is(ann: Layby) -> None:
    ann.must("update_customer", customers=["ann"], profile={"zone": "America/New_York"})
    fact(ann, "promise", until="2026-01-06")
    on(ann, 7, hour=4)
    assert status(ann) == "promised"
    on(ann, 7, hour=5)
    assert status(ann) == "late"


@pytest.mark.parametrize(
    ("promise", "payment", "kept"),
    [
        ({"reference": "i-1"}, {"reference": "i-1", "full": False}, True),
        ({"reference": "i-1"}, {"reference": "i-2"}, False),
        ({"reference": "i-1"}, {"full": False}, True),
        ({}, {"reference": "i-2"}, False),
        ({}, {"full": False}, True),
        ({"amount": "50"}, {"reference": "i-2", "amount": "50"}, True),
        (
            {"reference": "i-1", "amount": "50", "currency": "EUR"},
            {"reference": "i-1", "amount": "49.99", "currency": "EUR", "full": False},
            False,
        ),
        (
            {"reference": "i-1", "amount": "50"},
            {"reference": "i-1", "amount": "50", "full": False},
            True,
        ),
        (
            {"amount": "50", "currency": "EUR"},
            {"reference": "i-2", "amount": "50", "currency": "USD"},
            False,
        ),
    ],
)
def test_promise_is_kept_by_a_payment_of_what_was_promised(
    ann: Layby, promise: dict[str, str], payment: dict[str, Any], *, kept: bool
) -> None:
    fact(ann, "promise", until="2026-01-20", **promise)
    fact(ann, "payment", **payment)
    assert dict(held(ann))["i-1"] == (None if kept else "promised")
    assert status(ann) == ("on_track" if kept else "promised")
    assert wrong(ann) == {}


def test_promise_kept_in_two_parts(ann: Layby) -> None:
    fact(ann, "promise", reference="i-1", until="2026-01-20", amount="50.00", currency="EUR")
    for amount, waits in (("20.00", "promised"), ("29.99", "promised"), ("0.01", None)):
        fact(ann, "payment", reference="i-1", amount=amount, currency="EUR", full=False)
        assert dict(held(ann))["i-1"] == waits


def test_newer_promise_takes_the_place_of_an_older_one(ann: Layby) -> None:
    fact(ann, "promise", reference="i-1", until="2026-01-06")
    fact(ann, "promise", reference="i-1", until="2026-01-09")
    on(ann, 8)
    assert dict(held(ann))["i-1"] == "promised"
    on(ann, 10)
    assert dict(held(ann))["i-1"] is None


def test_promise_of_a_day_that_is_over_is_recorded_and_holds_nothing(ann: Layby) -> None:
    fact(ann, "promise", reference="i-1", until="2026-01-04")
    assert held(ann) == [("i-1", None), ("i-2", None)]
    assert ann.one("SELECT count(*) FROM facts") == 1


def test_many_broken_promises_are_released_a_chunk_at_a_time(layby: Layby) -> None:
    layby.set_up()
    names = [f"c-{n}" for n in range(7)]
    layby.on_schedule(*names)
    layby.must("record", customers=names, fact={"fact": "promise", "until": "2026-01-05"})
    with layby.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE accounts SET test_now = test_now + interval '1 day'")
    assert [release_some(layby.engine, layby.account, 3) for _ in range(4)] == [
        *(True, True, True),
        False,
    ]
    assert layby.one("SELECT count(*) FROM pending") == 7
    assert wrong(layby) == {}


# Disputes, replies, notes; several holds at once.


def test_rejected_dispute_goes_on_and_an_upheld_one_ends(ann: Layby) -> None:
    fact(ann, "dispute", reference="i-1")
    fact(ann, "dispute", reference="i-2")
    assert status(ann) == "disputed"
    fact(ann, "dispute", reference="i-1", outcome="rejected")
    assert held(ann) == [("i-1", None), ("i-2", "disputed")]
    assert status(ann) == "disputed"
    upheld = fact(ann, "dispute", reference="i-2", outcome="upheld")
    assert upheld.cancelled == 1
    assert status(ann) == "on_track"
    assert ann.rows("SELECT reference, end_reason FROM enrolments ORDER BY 1") == [
        ("i-1", None),
        ("i-2", "dispute_upheld"),
    ]
    assert wrong(ann) == {}


def test_dispute_of_everything_holds_what_is_assigned_later_too(ann: Layby) -> None:
    fact(ann, "dispute")
    fact(ann, "interaction", direction="inbound", reference="i-3")
    assign(ann, "i-3")
    assert dict(held(ann))["i-3"] == "disputed, replied"
    on(ann, 6)
    assert sent(ann) == []
    fact(ann, "dispute", outcome="rejected")
    assert dict(held(ann))["i-3"] == "replied"


def test_reply_waits_for_a_person(ann: Layby) -> None:
    fact(ann, "interaction", direction="inbound", channel="email", reference="i-1")
    fact(ann, "interaction", direction="outbound", channel="phone")
    assert held(ann) == [("i-1", "replied"), ("i-2", None)]
    assert status(ann) == "on_track"
    ann.must("resume", customers=["ann"])
    assert dict(held(ann))["i-1"] == "replied", "that was of a pause"
    ann.must("resume", customers=["ann"], hold="replied", reference="i-2")
    assert dict(held(ann))["i-1"] == "replied"
    ann.must("resume", customers=["ann"], hold="replied")
    assert held(ann) == [("i-1", None), ("i-2", None)]


def test_schedule_that_heeds_no_holds_goes_on(layby: Layby) -> None:
    owes(layby, {**BILL, "holds": ["disputed"]}, "i-1")
    fact(layby, "promise", until="2026-02-01")
    fact(layby, "interaction", direction="inbound")
    assert held(layby) == [("i-1", None)]
    fact(layby, "dispute")
    assert held(layby) == [("i-1", "disputed")]


def test_upheld_dispute_ends_nothing_that_does_not_heed_it(layby: Layby) -> None:
    owes(layby, {**BILL, "holds": ["promised"]}, "i-1")
    fact(layby, "dispute", reference="i-1")
    upheld = fact(layby, "dispute", reference="i-1", outcome="upheld")
    assert upheld.cancelled == 0
    assert layby.rows("SELECT reference, end_reason FROM enrolments") == [("i-1", None)]
    assert layby.one("SELECT count(*) FROM pending") == 1
    assert wrong(layby) == {}


HOLDS: dict[str, tuple[tuple[str, dict[str, Any]], tuple[str, dict[str, Any]]]] = {
    "disputed": (
        ("record", {"fact": {"fact": "dispute"}}),
        ("record", {"fact": {"fact": "dispute", "outcome": "rejected"}}),
    ),
    "promised": (
        ("record", {"fact": {"fact": "promise", "until": "2026-02-01"}}),
        ("record", {"fact": {"fact": "payment", "full": False}}),
    ),
    "replied": (
        ("record", {"fact": {"fact": "interaction", "direction": "inbound"}}),
        ("resume", {"hold": "replied"}),
    ),
    "paused": (("pause", {}), ("resume", {})),
}


@pytest.mark.parametrize("last", HOLDS)
def test_schedule_goes_on_when_the_last_hold_is_gone_and_not_before(ann: Layby, last: str) -> None:
    for kind, fields in (of[0] for of in HOLDS.values()):
        ann.must(kind, customers=["ann"], **fields)
    left = list(HOLDS)
    assert set(held(ann)) == {(reference, ", ".join(left)) for reference in ("i-1", "i-2")}
    for name in [*(one for one in HOLDS if one != last), last]:
        assert ann.rows("SELECT 1 FROM pending") == []
        kind, fields = HOLDS[name][1]
        ann.must(kind, customers=["ann"], **fields)
        left.remove(name)
        assert set(held(ann)) == {(one, ", ".join(left) or None) for one in ("i-1", "i-2")}
        assert wrong(ann) == {}
    assert ann.one("SELECT count(*) FROM pending") == 2


def test_one_debt_that_is_paid_does_not_hide_what_stands_of_another(ann: Layby) -> None:
    on(ann, 6)
    on(ann, 8)
    assert status(ann) == "late"
    fact(ann, "payment", reference="i-1")
    assert status(ann) == "late", "the other one is"
    fact(ann, "dispute", reference="i-2")
    assert status(ann) == "disputed"
    assign(ann, "i-3", date(2026, 1, 8))
    on(ann, 10)
    assert status(ann) == "disputed", "and a step that says late does not hide it"
    fact(ann, "dispute", reference="i-2", outcome="upheld")
    assert status(ann) == "late"
    fact(ann, "payment", reference="i-3")
    assert status(ann) == "on_track"


def test_note_is_recorded_and_goes_with_a_customer_who_is_purged(layby: Layby) -> None:
    layby.set_up()
    layby.add("ann")
    fact(layby, "note", text="called, will be away")
    layby.must("purge", customers=["ann"])
    assert layby.rows("SELECT 1 FROM facts") == []
    assert layby.rows("SELECT 1 FROM commands WHERE body::text LIKE '%away%'") == []


FACTS: dict[str, dict[str, Any]] = {
    "invoice": {"reference": "i-1", "due_date": "2026-02-02"},
    "payment": {},
    "promise": {"until": "2026-01-09"},
    "dispute": {},
    "interaction": {"direction": "inbound"},
    "note": {"text": "noted"},
}


@pytest.mark.parametrize("place", ["reserve", "archived"])
def test_fact_of_who_is_parked_is_recorded_and_changes_nothing(layby: Layby, place: str) -> None:
    """Nor later: what was promised before a reactivation releases nothing after it."""
    layby.set_up()
    layby.add("ann")
    if place == "archived":
        layby.must("activate", customers=["ann"])
        layby.must("move_to_directory", customers=["ann"])
    for kind, of in FACTS.items():
        recorded = fact(layby, kind, **of)
        assert (recorded.cancelled, recorded.started) == (0, 0)
    assert layby.rows("SELECT kind FROM facts ORDER BY fact") == [(kind,) for kind in FACTS]
    assert layby.rows("SELECT 1 FROM marks") == []
    layby.must("activate" if place == "reserve" else "reactivate", customers=["ann"])
    layby.must("assign_schedule", customers=["ann"], schedule="dunning")
    layby.must("pause", customers=["ann"])
    layby.travel(10 * DAY)
    assert status(layby) == "on_track"
    assert held(layby) == [("", "paused")]
    assert wrong(layby) == {}


@pytest.mark.parametrize(
    ("kind", "of"),
    [
        ("payment", {}),
        ("payment", {"full": False}),
        ("promise", {"until": "2026-01-09"}),
        ("dispute", {}),
        ("interaction", {"direction": "inbound"}),
    ],
)
def test_reminder_that_had_started_is_told(ann: Layby, kind: str, of: dict[str, Any]) -> None:
    ann.travel(START.replace(day=6, hour=10) - ann.now)
    start(ann.engine, ann.account, room=1)
    outcome = fact(ann, kind, **of)
    assert outcome.started == 1
    assert outcome.quiet_at is None
    assert (
        ann.one("SELECT CAST(data->>'started' AS int) FROM journal ORDER BY entry DESC LIMIT 1")
        == 1
    )
    assert wrong(ann) == {}
