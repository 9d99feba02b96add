"""Redaction: who can be, what a redacted customer still takes, and who stays silenced."""

from typing import Any

import pytest
from concurrency.parts import answer, started
from concurrency.parts import start as start_due
from harness import KEY, Layby

from domain.message import Answer, Channel
from scheduler.ticks import sweep
from storage import reports, unapplied
from storage.audit import run_audit
from storage.installation import recipient_hash

CONSENT = {"source": "START", "at": "2026-01-05T08:00:00Z"}
ISSUED_EARLY = "2026-01-05T07:00:00Z"


@pytest.fixture
def ann(layby: Layby) -> Layby:
    """Ann, who was active once."""
    layby.set_up()
    layby.on_schedule("ann")
    layby.must("move_to_directory", customers=["ann"])
    return layby


def execute(layby: Layby, sql: str) -> None:
    """Do by hand what the engine would not."""
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(sql)


def found(layby: Layby) -> dict[str, list[str | None]]:
    """Whom each check of the audit that found something is about."""
    with layby.engine.connect() as connection:
        results = [one for one in run_audit(connection) if one.found]
    return {one.check.name: [each.customer for each in one.violations] for one in results}


def code(layby: Layby, kind: str, customer: str = "ann", **fields: Any) -> str:
    (line,) = layby.send(kind, customers=[customer], **fields).refusals
    return line.code


def test_archived_customer_is_redacted_and_keeps_its_row_and_place(ann: Layby) -> None:
    outcome = ann.must("redact", customers=["ann"])
    assert (outcome.cancelled, outcome.started) == (0, 0)
    assert outcome.quiet_at is not None
    assert ann.rows("SELECT place, redacted_at, name, email, phone FROM customers") == [
        ("archived", ann.now, None, None, None)
    ]
    assert ann.rows("SELECT active, directory FROM counters") == [(0, 1)]
    assert ann.ledger("ann") == [(0, "cancelled", "moved")]


def test_who_is_active_or_has_nothing_that_is_kept_is_told_what_to_do(layby: Layby) -> None:
    """Whom a payment keeps from the purge is redacted, in reserve as well."""
    layby.set_up()
    layby.on_schedule("ann")
    layby.add("bob", "cid")
    layby.must("record", customers=["cid"], fact={"fact": "payment"})
    assert code(layby, "purge", "cid") == "kept"
    outcome = layby.send("redact", customers=["ann", "bob", "cid", "zoe"])
    said = {line.customer: (line.code, line.message.split(". ")[-1]) for line in outcome.refusals}
    assert said == {
        "ann": (
            "wrong_place",
            "Move it to the directory first: from then on it hears nothing.",
        ),
        "bob": ("wrong_place", "Purge it."),
        "zoe": ("unknown_customer", "Check the id; who is not known hears nothing."),
    }
    assert layby.rows("SELECT customer, place FROM customers WHERE email IS NULL") == [
        ("cid", "reserve")
    ]
    assert code(layby, "activate", "cid") == code(layby, "purge", "cid") == "redacted"
    early = code(layby, "resume", issued_at=ISSUED_EARLY)
    assert early == "superseded", "a silence that is refused was said all the same"


def test_the_same_again_is_applied_and_erases_what_came_since(ann: Layby) -> None:
    ann.must("redact", customers=["ann"])
    execute(ann, "UPDATE customers SET email = 'ann@example.org'")
    again = ann.must("redact", customers=["ann"])
    assert again.quiet_at is not None
    assert ann.rows("SELECT email, redacted_at FROM customers") == [(None, ann.now)]
    events = ann.rows("SELECT event FROM journal WHERE event LIKE '%redacted' ORDER BY entry")
    assert events == [("customer_redacted",), ("customer_already_redacted",)]


REFUSED: dict[str, dict[str, Any]] = {
    "reactivate": {},
    "update_customer": {"profile": {"name": "secret"}},
    "record": {"fact": {"fact": "note", "text": "secret"}},
    "add_customer": {"profile": {"name": "secret"}},
    "opt_in": {"consent": {**CONSENT, "source": "secret"}},
    "unblock": {},
    "assign_schedule": {"schedule": "dunning", "reference": "secret"},
}


def test_redacted_customer_takes_silence_alone_and_whatever_came_is_erased(ann: Layby) -> None:
    ann.must("redact", customers=["ann"])
    for kind, fields in REFUSED.items():
        assert code(ann, kind, reason="secret", **fields) == "redacted", kind
    rows = ann.send("import_customers", csv="id,name\nann,secret\nbob,Bob\n")
    assert [(line.customer, line.code) for line in rows.refusals] == [("ann", "redacted")]
    assert rows.refusals[0].message.startswith("Row 2: Cannot import customer ann")
    for kind in ("block", "opt_out", "move_to_directory"):
        assert ann.must(kind, customers=["ann"], source="secret").quiet_at is not None, kind
    assert ann.one("SELECT count(*) FROM suppressions WHERE source <> ''") == 0
    assert ann.one("SELECT count(*) FROM command_targets WHERE payload IS NOT NULL") == 0
    assert "secret" not in ann.one("SELECT string_agg(body::text, '') FROM commands")
    assert found(ann) == {}


def test_lists_and_filters_are_redacted_in_bulk_and_pass_over_who_is(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann", "bob", "cid", "dan")
    layby.must("move_to_directory", customers=["ann", "bob", "cid"])
    layby.bulk_from = 1
    listed = layby.send("redact", customers=["ann", "bob", "zoe"])
    assert (listed.state, listed.applied) == ("partly", 2)
    assert layby.must("redact", customers={"place": "archived"}).targets == 1
    assert layby.one("SELECT count(*) FROM customers WHERE redacted_at IS NOT NULL") == 3
    assert layby.send("reactivate", customers={"place": "archived"}).targets == 0


def test_commands_that_wait_before_it_leave_nothing(ann: Layby) -> None:
    """All of them are applied in the transaction of the redaction."""
    ann.accept("update_customer", customers=["ann"], profile={"name": "Secret"})
    redact = ann.accept("redact", customers=["ann"])
    later = ann.accept("update_customer", customers=["ann"], profile={"name": "Secret"})
    assert ann.apply(redact).state == "applied"
    assert ann.outcome(later).state == "refused"
    assert "Secret" not in ann.one("SELECT string_agg(body::text, '') FROM commands")
    assert ann.one("SELECT name FROM customers") is None


def test_list_that_goes_on_for_others_is_erased_once_it_is_over(ann: Layby) -> None:
    """Its content is needed until then; a replay needs it too."""
    note = {"fact": "note", "text": "secret"}
    ann.add("bob")
    both = ann.accept("record", customers=["ann", "bob"], fact=note, reason="for both")
    with ann.engine.begin() as connection:
        unapplied.set_aside(connection, ann.account, "bob", "the disk is full")
    assert ann.apply(both).state == "partly"
    ann.must("redact", customers=["ann"])
    sweep(ann.engine)
    body = "SELECT body::text FROM commands WHERE command = :c"
    assert "secret" in ann.one(body, c=both)
    assert found(ann) == {}
    with ann.engine.begin() as connection:
        assert unapplied.replay(connection, ann.account, both)
    assert ann.apply(both).state == "applied"
    sweep(ann.engine)
    left = ann.one(body, c=both)
    assert "secret" not in left
    assert "for both" in left, "that is Bob's as well"
    assert found(ann) == {}


def test_send_in_progress_is_told_and_settles(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    start_due(layby.engine, layby.account, Channel.EMAIL)
    layby.must("move_to_directory", customers=["ann"])
    outcome = layby.must("redact", customers=["ann"])
    assert (outcome.started, outcome.quiet_at) == (1, None)
    (one,) = started(layby.engine, layby.account)
    answer(layby.engine, [one], Answer.UNKNOWN)
    sweep(layby.engine)
    assert layby.outcome(outcome.id).quiet_at is not None
    with layby.engine.begin() as connection:
        assert reports.resolve_unknown(connection, layby.account, one.send, "sent", "she said so")
    assert layby.rows("SELECT state, rule, detail, recipient_hash FROM sends") == [
        ("sent", "resolved", "", recipient_hash(KEY, "ann@example.org"))
    ]
    assert found(layby) == {}


@pytest.mark.parametrize("kind", ["redact", "purge"])
def test_silence_survives_erasure_and_re_import(layby: Layby, kind: str) -> None:
    """By customer, address, number or domain; and by the address that the customer has now."""
    layby.set_up()
    phones = {"by-number": "+33612345678"}
    for one in ("by-id", "by-address", "by-number", "moved", "free"):
        layby.add(one, phone=phones.get(one, "+80012345678"))
    layby.add("by-domain", email="who@spam.example")
    everybody = ["by-id", "by-address", "by-number", "moved", "free", "by-domain"]
    if kind == "redact":
        layby.must("activate", customers=everybody)
        layby.must("move_to_directory", customers=everybody)
    for customer in ("by-id", "moved"):
        layby.must("opt_out", customers=[customer], channel="email")
    layby.must("block", address="By-Address@example.org")
    layby.must("opt_out", number=phones["by-number"])
    layby.must("block", domain="spam.example")
    layby.must("update_customer", customers=["moved"], profile={"email": "new@example.org"})
    layby.must(kind, customers=everybody)
    mails = ("by-id@example.org", "by-address@example.org", "new@example.org", "who@spam.example")
    rows = "".join(f"again-{n},{email},\n" for n, email in enumerate((*mails, "free@example.org")))
    layby.must("import_customers", csv=f"id,email,phone\n{rows}again-5,,{phones['by-number']}\n")
    back = [f"again-{n}" for n in range(6)]
    layby.must("activate", customers=back)
    for channel, template in (("email", "hello"), ("sms", "nudge")):
        step = {"offset": "PT0S", "channel": channel, "template": template}
        definition = {"anchor": "assigned_at", "steps": [step]}
        layby.must("put_schedule", schedule=channel, definition=definition)
    outcome = layby.send("assign_schedule", customers=back, schedule="email")
    assert [line.customer for line in outcome.refusals if line.code == "no_consent"] == back[:4]
    assert code(layby, "assign_schedule", "again-5", schedule="sms") == "no_consent"
    kept = layby.one("SELECT string_agg(to_jsonb(s)::text, '') FROM suppressions s")
    assert not any(word in kept.lower() for word in ("example", "+33"))
    layby.must("opt_in", address="new@example.org", consent=CONSENT)
    layby.must("assign_schedule", customers=["again-2"], schedule="email")


@pytest.mark.parametrize("kind", ["redact", "purge"])
def test_erasure_silences_nobody_else_of_the_address_who_has_consented(
    layby: Layby, kind: str
) -> None:
    layby.set_up()
    layby.add("ann", "eve", email="Family@example.org")
    layby.must("activate", customers=["eve"])
    if kind == "redact":
        layby.must("activate", customers=["ann"])
        layby.must("move_to_directory", customers=["ann"])
    layby.must("opt_out", customers=["ann"])
    layby.must("opt_in", customers=["eve"], consent=CONSENT)
    layby.must(kind, customers=["ann"])
    layby.must("assign_schedule", customers=["eve"], schedule="dunning")
    layby.deliver()
    assert layby.ledger("eve") == [(0, "sent", "accepted")]


def test_block_of_an_address_is_not_kept_in_plain_words_once_it_is_over(layby: Layby) -> None:
    """Whether anybody has it or not."""
    layby.set_up()
    layby.on_schedule("ann")
    body = "SELECT body FROM commands WHERE command = :c"
    for address in ("ann@example.org", "nobody@example.org"):
        block = layby.accept("block", address=address, reason="spam")
        sweep(layby.engine)
        assert layby.one(body, c=block)["address"] == address, "it is still to be applied"
        assert layby.apply(block).state == "applied"
        sweep(layby.engine)
        assert layby.one(body, c=block).keys() == {"id", "account", "kind", "reason", "erased"}
    assert found(layby) == {}


BROKEN = {
    "a zone": "UPDATE customers SET zone = 'Europe/Paris'",
    "a reference": "UPDATE enrolments SET reference = 'i-1'",
    "a fact": """INSERT INTO facts (account, customer, kind, data, seq, business_at)
        VALUES ('acme', 'ann', 'note', '{"fact": "note", "text": "x"}', 1, now())""",
    "an entry": """UPDATE journal SET data = '{"reference": "x"}'
        WHERE customer = 'ann' AND event = 'customer_added'""",
    "a word": """UPDATE sends SET rule = 'resolved', detail = 'she said so'""",
}


def test_audit_finds_what_is_left_of_who_is_redacted(ann: Layby) -> None:
    """Each place for itself: what is wrong is told of one, and of no other customer."""
    ann.must("redact", customers=["ann"])
    assert found(ann) == {}
    for number, (what, sql) in enumerate(BROKEN.items(), 1):
        execute(ann, sql)
        assert found(ann)["redacted_holds_data"] == ["ann"] * number, what
