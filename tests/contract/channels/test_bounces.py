"""A server says that nobody is there: nothing more goes to that address, and nothing is lost."""

from datetime import timedelta

import pytest
from concurrency.invariants import broken
from contract.channels.scripted_smtp import ScriptedSmtpServer
from harness import SCHEDULE, Layby
from unit.workers.test_delivery import Answering

from channels.configure import channel_from_urls
from domain.message import Answer, Channel
from storage import erasure, suppressions
from workers.bulk import apply_bulk
from workers.delivery import deliver
from workers.desk import Desk

NOBODY = "550 5.1.1 <ann@example.org>: unknown"


@pytest.fixture
def people(layby: Layby, smtp_server: ScriptedSmtpServer) -> Layby:
    """Ann, Bob with her address, and Cid; their email goes to a server that knows no Ann."""
    layby.set_up()
    layby.on_schedule("ann", "cid")
    layby.add("bob", email="Ann@example.org")
    layby.must("activate", customers=["bob"])
    layby.delivery.test_desks[Channel.EMAIL].close()
    desk = Desk(channel_from_urls(f"smtp://127.0.0.1:{smtp_server.port}", Channel.EMAIL))
    layby.delivery.test_desks = {**layby.delivery.test_desks, Channel.EMAIL: desk}
    smtp_server.script.at["RCPT"] = [NOBODY]
    layby.delivery.start_at_most = 1  # Ann's alone meets the script
    return layby


def bounced(people: Layby) -> str:
    """Deliver, and apply what the server's word became; the command's id."""
    people.deliver()
    apply_bulk(people.engine, people.account)
    command: str = people.one("SELECT command FROM commands WHERE kind = 'suppress'")
    return command


def test_who_is_not_there_hears_nothing_more_by_email_and_goes_on_by_sms(people: Layby) -> None:
    bounced(people)
    assert people.ledger("ann") == [(0, "failed", "no_such_recipient")]
    assert people.rows("SELECT step, channel FROM pending WHERE customer = 'ann'") == [(1, "sms")]
    assert people.rows("SELECT kind, aim, channel FROM suppressions") == [
        ("suppressed", "address", "email")
    ]
    assert people.ledger("cid") == [(0, "sent", "accepted")]
    only_mail = {**SCHEDULE, "steps": SCHEDULE["steps"][::2]}
    people.must("put_schedule", schedule="mail", definition=only_mail)
    refused = people.send("assign_schedule", customers=["ann", "bob"], schedule="mail")
    assert [line.code for line in refused.refusals] == ["no_consent"] * 2
    assert broken(people.engine) == {}


def test_step_that_has_a_fallback_goes_by_it_at_once(people: Layby) -> None:
    """Nothing reached anybody, so nobody gets it twice."""
    mail = {"offset": "PT0S", "channel": "email", "template": "hello"}
    steps = [
        {**mail, "fallback": {"channel": "sms", "template": "nudge"}},
        {**mail, "offset": "P1D"},
    ]
    people.must("put_schedule", schedule="either", definition={**SCHEDULE, "steps": steps})
    people.must("remove_from_schedule", customers=["ann", "cid"], schedule="dunning")
    people.must("assign_schedule", customers=["ann"], schedule="either")
    bounced(people)
    assert people.ledger("ann")[1:] == [(0, "sent", "accepted"), (1, "cancelled", "suppressed")]
    (sent,) = people.rows(
        "SELECT channel, decision->>'fallback', attempts FROM sends WHERE state = 'sent'"
    )
    assert sent == ("sms", "no_such_recipient", 1)
    assert people.texts()[0]["to"] == "+80012345678"
    assert broken(people.engine) == {}


def test_fallback_that_reaches_nobody_either_is_the_end_of_its_step(people: Layby) -> None:
    people.delivery.test_desks[Channel.SMS].close()
    texts = Answering(Answer.NO_SUCH_RECIPIENT)
    people.delivery.test_desks = {**people.delivery.test_desks, Channel.SMS: Desk(texts)}
    step = {"offset": "PT0S", "channel": "email", "template": "hello"}
    steps = [{**step, "fallback": {"channel": "sms", "template": "nudge"}}]
    people.must("put_schedule", schedule="either", definition={**SCHEDULE, "steps": steps})
    people.must("remove_from_schedule", customers=["ann", "cid"], schedule="dunning")
    people.must("assign_schedule", customers=["ann"], schedule="either")
    for channel in (Channel.EMAIL, Channel.SMS):
        deliver(people.delivery, people.account, channel)
    assert people.ledger("ann")[1:] == [(0, "failed", "no_such_recipient")]
    assert len(texts.handed) == 1
    apply_bulk(people.engine, people.account)
    aims = people.rows("SELECT DISTINCT aim FROM suppressions ORDER BY 1")
    assert aims == [("address",), ("number",)]
    assert broken(people.engine) == {}


def test_nothing_in_the_database_names_who_is_not_there_once_it_is_done(people: Layby) -> None:
    command = bounced(people)
    with people.engine.begin() as connection:
        erasure.sweep(connection)
    outcome = people.outcome(command)
    assert (outcome.state, outcome.applied) == ("applied", 2)
    body = people.one("SELECT body FROM commands WHERE kind = 'suppress'")
    assert "example.org" not in str(body)
    with people.engine.connect() as connection:
        (told,) = suppressions.of_customer(connection, people.account, "bob")
    assert (told["kind"], told["by"], told["command"]) == ("suppressed", "address", command)


def test_another_address_is_written_to(people: Layby) -> None:
    bounced(people)
    people.must("update_customer", customers=["ann"], profile={"email": "ann@new.example"})
    for _ in range(3):
        people.travel(timedelta(days=1))
        people.deliver()
    assert people.ledger("ann")[1:] == [(1, "sent", "accepted"), (2, "sent", "accepted")]


def test_only_its_own_kind_of_word_lifts_it(people: Layby) -> None:
    bounced(people)
    refused = people.send("unblock", customers=["ann"])
    assert [line.code for line in refused.refusals] == ["nothing_to_lift"]
    assert "its address is suppressed by the provider for email. Lift that." in (
        refused.refusals[0].message
    )
    people.must("unsuppress", customers=["ann"])
    assert people.rows("SELECT 1 FROM suppressions") == []
    people.must("assign_schedule", customers=["bob"], schedule="dunning")


def test_address_that_no_command_would_take_fails_its_send_and_nothing_else(
    people: Layby,
) -> None:
    with people.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE customers SET email = 'ann@localhost'")
    people.deliver()
    assert people.ledger("ann") == [(0, "failed", "no_such_recipient")]
    assert people.ledger("cid") == [(0, "sent", "accepted")]
    assert people.rows("SELECT 1 FROM commands WHERE kind = 'suppress'") == []


def test_word_of_the_server_is_accepted_in_the_transaction_that_settles_its_send(
    people: Layby,
) -> None:
    people.deliver()
    settled = people.one("SELECT CAST(xmin AS text) FROM sends WHERE customer = 'ann'")
    accepted = people.one("SELECT CAST(xmin AS text) FROM commands WHERE kind = 'suppress'")
    assert settled == accepted
