"""A redaction meets what would bring the person back, or still sends to it."""

from contextlib import nullcontext

import pytest
from concurrency.interleave import Interleaving, errors_by_state, planted
from concurrency.invariants import broken
from concurrency.parts import answer, apply_for, started
from concurrency.parts import start as start_due
from harness import Layby

from domain.message import Answer, Channel
from storage import reports

EMPTIED = "UPDATE customers SET name = NULL"
UPDATED = '"values" = "values" ||'


@pytest.fixture
def ann(people: Layby) -> Layby:
    """Ann, archived, with a send in progress."""
    start_due(people.engine, people.account, Channel.EMAIL, room=1)
    people.must("move_to_directory", customers=["ann"])
    return people


def left(layby: Layby) -> str:
    """What is written of Ann's name anywhere that a command could put it."""
    return str(
        layby.one(
            "SELECT coalesce((SELECT name FROM customers WHERE customer = 'ann'), '') "
            "|| (SELECT string_agg(coalesce(body::text, ''), '') FROM commands)"
        )
    )


@pytest.mark.parametrize("redaction_first", [True, False])
def test_redaction_and_what_brings_details_wait_for_each_other(
    ann: Layby, between: Interleaving, *, redaction_first: bool
) -> None:
    """Whichever comes first, nothing of what the other brought is left."""
    if redaction_first:
        ann.accept("redact", customers=["ann"])
        first = between.stopped(lambda: apply_for(ann, "ann"), having=EMPTIED)
        ann.accept("update_customer", customers=["ann"], profile={"name": "Secret"})
        ann.accept("import_customers", csv="id,name\nann,Secret\n")
    else:
        ann.accept("update_customer", customers=["ann"], profile={"name": "Secret"})
        first = between.stopped(lambda: apply_for(ann, "ann"), having=UPDATED)
        ann.accept("redact", customers=["ann"])
    second = between.waiting(lambda: apply_for(ann, "ann"), for_=first)
    first.go().result()
    second.result()
    assert "Secret" not in left(ann)
    assert ann.one("SELECT count(*) FROM command_targets WHERE payload IS NOT NULL") == 0
    assert broken(ann.engine) == {}


def test_send_settles_while_its_customer_is_redacted_and_neither_waits(
    ann: Layby, between: Interleaving
) -> None:
    """They share no lock: what settles holds nothing of the person."""
    redact = ann.accept("redact", customers=["ann"])
    first = between.stopped(lambda: apply_for(ann, "ann"), having=EMPTIED)
    sends = started(ann.engine, ann.account)
    answer(ann.engine, sends, Answer.ACCEPTED)
    first.go().result()
    outcome = ann.outcome(redact)
    assert (outcome.state, outcome.started) == ("applied", 1)
    assert ann.ledger("ann") == [(0, "sent", "accepted")]
    assert broken(ann.engine) == {}


@pytest.mark.parametrize("held", [True, False])
def test_a_persons_word_on_a_send_waits_for_the_redaction(
    ann: Layby, between: Interleaving, *, held: bool
) -> None:
    """Planted: it waits for the send alone, and its words come back once all is erased."""
    (one,) = started(ann.engine, ann.account)
    answer(ann.engine, [one], Answer.UNKNOWN)
    ann.accept("redact", customers=["ann"])

    def resolve() -> None:
        with ann.engine.begin() as connection:
            reports.resolve_unknown(connection, ann.account, one.send, "sent", "she said so")

    bug = nullcontext() if held else planted(ann.engine, "FOR KEY SHARE OF c", "")
    with bug:
        first = between.stopped(lambda: apply_for(ann, "ann"), having=EMPTIED)
        second = between.waiting(resolve, for_=first)
        first.go().result()
        second.result()
    words = ann.one("SELECT detail FROM sends WHERE customer = 'ann' AND rule = 'resolved'")
    assert words == ("" if held else "she said so")


def test_redactions_of_customers_that_share_lists_wait_for_each_other(
    layby: Layby, between: Interleaving
) -> None:
    """And the second finds what the first could not erase for its sake."""
    layby.set_up()
    layby.on_schedule("ann", "bob")
    for _ in range(3):
        note = {"fact": "note", "text": "secret"}
        layby.must("record", customers=["ann", "bob"], fact=note)
    layby.must("move_to_directory", customers=["bob", "ann"])
    for customer in ("ann", "bob"):
        layby.accept("redact", customers=[customer])
    with errors_by_state(layby.engine) as errors:
        first = between.stopped(lambda: apply_for(layby, "ann"), having="ORDER BY seq FOR NO KEY")
        second = between.waiting(lambda: apply_for(layby, "bob"), for_=first)
        first.go().result()
        second.result()
    assert errors == {}
    assert "secret" not in left(layby)
    assert broken(layby.engine) == {}
