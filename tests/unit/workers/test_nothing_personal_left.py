"""A person whose marks are in every free text of the database is redacted; then all is searched."""

import json
from contextlib import ExitStack
from zoneinfo import ZoneInfo

import pytest
from concurrency.interleave import planted
from concurrency.parts import answer, started
from concurrency.parts import start as start_due
from harness import Layby
from sqlalchemy import text

from domain.message import Answer, Channel
from ops.story import past
from scheduler.ticks import sweep
from storage import erasure, reports, unapplied
from storage.audit import run_audit
from workers.intake import accept_raw

MARK = "xq7mark"
EMAIL, PHONE = f"{MARK}@example.org", "+33612345699"
SAID = {"source": f"{MARK} desk", "reason": f"{MARK} asked"}
RUN = f"{MARK}-1"
OTHER_RUN = f"{MARK}-2"
CONSENT = {"source": f"{MARK} on the telephone", "at": "2026-01-05T07:00:00Z"}


@pytest.fixture
def marked(layby: Layby) -> Layby:
    """Ann, archived, with everything that was ever said of her."""
    live_marked(layby)
    return layby


def live_marked(layby: Layby) -> None:
    """All that a sender can say of a customer, in words of its own."""
    layby.set_up()
    _profile(layby)
    layby.must("activate", customers=["ann"], **SAID)
    for run in (RUN, OTHER_RUN):
        layby.must(
            "assign_schedule",
            customers=["ann"],
            schedule="dunning",
            reference=run,
            values={"amount": f"{MARK} 120"},
            **SAID,
        )
    _facts(layby)
    _sends(layby)
    _refused(layby)
    _consent(layby)
    _of_others(layby)
    _unreadable(layby)
    layby.must("move_to_directory", customers=["ann"], **SAID)


def _profile(layby: Layby) -> None:
    details = {"name": MARK, "email": EMAIL, "phone": PHONE, "values": {"tier": f"{MARK} gold"}}
    rows = layby.accept("import_customers", csv=f"id,name,note\nann,{MARK},{MARK} twice\n", **SAID)
    with layby.engine.begin() as connection:
        unapplied.set_aside(connection, layby.account, "ann", f"the disk is full: {MARK}")
    assert layby.outcome(rows).state == "refused"
    layby.must("add_customer", customers=["ann"], profile=details, **SAID)
    layby.must(
        "update_customer",
        customers=["ann"],
        profile={"country": "FR", "zone": "Europe/Paris", "language": "fr"} | details,
        **SAID,
    )


def _facts(layby: Layby) -> None:
    def fact(**fact: object) -> None:
        layby.must("record", customers=["ann"], fact=fact, **SAID)

    owed = {"reference": RUN, "amount": "120.00", "currency": "EUR"}
    fact(fact="invoice", due_date="2026-02-01", **owed)
    fact(fact="payment", full=False, **{**owed, "amount": "20.00"})
    fact(fact="promise", until="2026-01-06", reference=OTHER_RUN)
    fact(fact="dispute", reference=OTHER_RUN)
    fact(fact="dispute", reference=OTHER_RUN, outcome="rejected")
    fact(fact="interaction", direction="inbound", channel=MARK, reference=OTHER_RUN)
    fact(fact="note", text=f"{MARK} is at {EMAIL}", reference=RUN)
    layby.must("resume", customers=["ann"], hold="replied", reference=OTHER_RUN, **SAID)


def _sends(layby: Layby) -> None:
    """One that goes out, and one of which a person says what became of it."""
    start_due(layby.engine, layby.account, Channel.EMAIL, room=1)
    (first, *_) = sends = started(layby.engine, layby.account)
    answer(layby.engine, sends, Answer.UNKNOWN)
    with layby.engine.begin() as connection:
        reports.resolve_unknown(connection, layby.account, first.send, "sent", f"{MARK} said so")
    layby.deliver()


def _refused(layby: Layby) -> None:
    def refused(kind: str, **fields: object) -> None:
        assert layby.send(kind, customers=["ann"], **fields, **SAID).state == "refused"

    paid = {"fact": "payment", "reference": RUN, "amount": "1", "currency": "USD"}
    refused("record", fact=paid)
    refused("assign_schedule", schedule="dunning", reference=RUN)
    refused("remove_from_schedule", schedule="dunning", reference=f"{MARK}-3")


def _consent(layby: Layby) -> None:
    for way in ({"customers": ["ann"]}, {"address": EMAIL}, {"number": PHONE}):
        layby.must("block", **way, **SAID)
        layby.must("opt_out", **way, **SAID)
        layby.must("opt_in", consent=CONSENT, **way, **SAID)


def _of_others(layby: Layby) -> None:
    """With Bob, of whom nothing is erased; and once as a list that is bulk."""
    layby.must("add_customer", customers=["bob"], profile={"name": "Bob"})
    for run in ("in a list", "in bulk"):
        layby.send(
            "assign_schedule",
            customers=["ann", "bob"],
            schedule="dunning",
            reference=f"{MARK} {run}",
            values={"amount": f"{MARK} 7"},
        )
        layby.bulk_from = 1


def _unreadable(layby: Layby) -> None:
    """Once for Ann alone, once for Bob too; and under the id of another command."""
    layby.accept("add_customer", customers=["ann"], profile={"emial": EMAIL})
    layby.accept("update_customer", customers=["bob", "ann"], profile={"emial": "bob's"})
    again = {"id": "cmd-1", "account": "acme", "kind": "pause", "customers": ["ann"], **SAID}
    with layby.engine.begin() as connection:
        assert accept_raw(connection, json.dumps(again).encode(), "test")


def where_found(layby: Layby, *sought: str) -> set[str]:
    """Each column of each table in which some of this is, whatever the column's type."""
    found = set()
    with layby.engine.connect() as connection:
        columns = connection.execute(
            text(
                "SELECT table_name, column_name FROM information_schema.columns "
                "JOIN information_schema.tables USING (table_schema, table_name) "
                "WHERE table_schema = 'public' AND table_type = 'BASE TABLE' "
                "AND table_name NOT LIKE 'sends\\_%'"
            )
        ).all()
        assert {("sends", "detail"), ("commands", "raw")} <= {tuple(row) for row in columns}
        for table, column in columns:
            condition = " OR ".join(f"\"{column}\"::text ILIKE '%%{one}%%'" for one in sought)
            query = f'SELECT EXISTS (SELECT 1 FROM "{table}" WHERE {condition})'
            if connection.exec_driver_sql(query).scalar_one():
                found.add(f"{table}.{column}")
    return found


EVERYWHERE = {
    *("customers.name", "customers.email", "customers.phone", "customers.values"),
    *("enrolments.reference", "enrolments.values", "facts.data", "sends.detail"),
    *("commands.body", "commands.raw", "command_targets.message", "command_targets.payload"),
    *("journal.data", "suppressions.source"),
}


KEPT = """
    SELECT step, state, rule, channel, planned_at, business_at, settled_at, recipient_hash,
           template, template_version, decision, provider, provider_id
    FROM sends WHERE customer = 'ann' ORDER BY settled_at, enrolment, step
"""
TOLD = "SELECT event, business_at FROM journal ORDER BY entry"


def test_nothing_personal_is_left_of_who_is_redacted_but_what_was_sent(marked: Layby) -> None:
    """Whatever a column is called, and whichever table is new: all of them are searched."""
    assert where_found(marked, MARK, PHONE) == EVERYWHERE
    kept, told = marked.rows(KEPT), marked.rows(TOLD)
    assert any(recipient_hash for _, *_, recipient_hash, _, _, _, _, _ in kept)
    assert marked.must("redact", customers=["ann"]).quiet_at is not None
    sweep(marked.engine)
    assert where_found(marked, MARK, PHONE, "Europe/Paris", '"EUR"') == {"sends.decision"}
    assert where_found(marked, MARK, PHONE) == set()
    assert marked.rows(
        "SELECT country, zone, derived_zone, language FROM customers WHERE customer = 'ann'"
    ) == [(None, None, None, None)]
    assert marked.rows(KEPT) == kept
    assert marked.rows(TOLD)[:-1] == told
    with marked.engine.connect() as connection:
        story = reports.timeline(connection, marked.account, "ann")
    words = [past(row, ZoneInfo("UTC")) for row in story]
    assert "redacted: who this was is erased; what was done is kept" in words[-1]
    assert not any(word.startswith("invoice i") or MARK in word for word in words)
    with marked.engine.connect() as connection:
        assert [one.check.name for one in run_audit(connection) if one.found] == []


def test_what_is_published_again_is_known_though_its_content_is_gone(layby: Layby) -> None:
    """Nor can its digest be tried with guesses of an address: it is keyed from then on."""
    layby.set_up()
    layby.on_schedule("ann")
    layby.must("move_to_directory", customers=["ann"])
    ((body, digest),) = layby.rows(
        "SELECT body::text, digest FROM commands WHERE kind = 'add_customer'"
    )
    layby.must("redact", customers=["ann"])
    before = layby.one("SELECT count(*) FROM commands")
    with layby.engine.begin() as connection:
        again = accept_raw(connection, body.encode(), "test")
    assert again is not None
    assert (again.fresh, again.set_aside_as) == (False, None)
    assert layby.one("SELECT count(*) FROM commands") == before
    assert layby.one("SELECT count(*) FROM commands WHERE digest = :d", d=digest) == 0


LEAKS = {
    "customers.values": ("derived_zone = NULL, \"values\" = '{}',", "derived_zone = NULL,"),
    "customers.email": ("email = NULL,", ""),
    "enrolments.reference": ("\"values\" = '{}', reference = ''", "\"values\" = '{}'"),
    "facts.data": ("SET data = jsonb_build_object('fact', kind)", "SET data = data"),
    "sends.detail": ("s.token IS NOT NULL AND s.detail", "s.token IS NULL AND s.detail"),
    "command_targets.message": ("= ANY(%(told)s) THEN", "= ANY(%(told)s) OR true THEN"),
    "journal.data": ("WHERE key = ANY(%(kept)s)) FROM ROWS", ") FROM ROWS"),
    "commands.raw": ("UPDATE commands SET raw = %(raw)s,", "UPDATE commands SET"),
    "suppressions.source": (
        "UPDATE suppressions SET source = ''",
        "UPDATE suppressions SET aim=aim",
    ),
}
"""What a statement could forget, and where it is then found."""


def test_what_a_statement_forgets_is_found(marked: Layby, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted in each of them; nothing is found elsewhere."""
    monkeypatch.setattr(erasure, "of_body", lambda body, **_: body)
    with ExitStack() as bugs:
        for right, wrong in LEAKS.values():
            bugs.enter_context(planted(marked.engine, right, wrong))
        marked.must("redact", customers=["ann"])
    assert where_found(marked, MARK, PHONE) == {*LEAKS, "commands.body"}
