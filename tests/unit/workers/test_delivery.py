"""The delivery worker: one reminder from due to settled."""

from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from harness import START, Layby

from config.machine_time import Deadline
from domain.message import Answer, Channel, Message, Result
from domain.send import RETRY_AFTER
from storage.database import DatabaseError
from workers.delivery import deliver
from workers.desk import Desk


class Answering:
    """A channel that answers what the test says, and keeps what it was handed."""

    name = "answering"
    capacity = 50

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.handed: list[Message] = []

    async def hand_over(self, message: Message, _: Deadline) -> Result:
        self.handed.append(message)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Result(answer, "as told")

    async def check(self) -> str:
        return "ready"

    async def close(self) -> None:
        pass


def answering(layby: Layby, *answers: Answer) -> Answering:
    """Put a channel of the test's in place of the email one."""
    adapter = Answering(*answers)
    layby.delivery.test_desks[Channel.EMAIL].close()
    desks = {**layby.delivery.test_desks, Channel.EMAIL: Desk(adapter)}
    layby.delivery.test_desks = desks
    return adapter


def test_a_schedule_runs_to_its_end_over_both_channels(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    for _ in range(4):
        layby.deliver()
        layby.travel(timedelta(days=1))
    assert layby.ledger("ann") == [(step, "sent", "accepted") for step in range(3)]
    assert layby.rows("SELECT slot, end_reason FROM enrolments") == [(None, "completed")]
    assert len(layby.mails()) == 2
    assert [line["text"] for line in layby.texts()] == ["Ann: a reminder, ann"]


def test_the_message_is_what_the_template_says(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    layby.deliver()
    mail = message_from_bytes(layby.mails()[0].read_bytes(), policy=policy.default)
    assert (mail["Subject"], mail["To"]) == ("Hello Ann", "ann@example.org")
    assert mail["From"] == "Acme <billing@acme.example>"
    assert mail.get_content().strip() == "Dear Ann, ann"


def test_a_customer_reads_its_own_language(layby: Layby) -> None:
    layby.set_up()
    texts = {"en": {"text": "Hello"}, "fr": {"text": "Bonjour"}}
    definition = {"channel": "sms", "default_language": "en", "texts": texts}
    layby.must("put_template", template="nudge", definition=definition)
    step = {"offset": "PT0S", "channel": "sms", "template": "nudge"}
    schedule = {"anchor": "assigned_at", "steps": [step]}
    layby.must("put_schedule", schedule="dunning", definition=schedule)
    layby.add("ann", language="fr")
    layby.add("bob", language="pt")
    layby.must("activate", customers=["ann", "bob"])
    layby.must("assign_schedule", customers=["ann", "bob"], schedule="dunning")
    layby.deliver()
    assert sorted(line["text"] for line in layby.texts()) == ["Bonjour", "Hello"]


def test_a_no_for_now_is_tried_again_by_the_retry_rule_and_then_fails(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    channel = answering(layby, Answer.TEMPORARY)
    for wait in RETRY_AFTER:
        layby.deliver()
        assert layby.one("SELECT due_at FROM pending") == layby.now + wait
        assert layby.ledger("ann") == []
        layby.travel(wait)
    layby.deliver()
    assert layby.ledger("ann") == [(0, "failed", "attempts_exhausted")]
    assert layby.one("SELECT attempts FROM sends") == len(RETRY_AFTER) + 1
    assert len({message.key for message in channel.handed}) == 1, "one key for each attempt"
    assert layby.one("SELECT step FROM pending") == 1, "the sequence goes on"


def test_a_no_for_good_fails_at_once_and_the_sequence_goes_on(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    answering(layby, Answer.PERMANENT)
    layby.deliver()
    assert layby.ledger("ann") == [(0, "failed", "permanent")]
    assert layby.one("SELECT step FROM pending") == 1


def test_what_there_is_no_word_of_is_unknown_and_never_sent_again(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    channel = answering(layby, Answer.UNKNOWN)
    layby.deliver()
    layby.travel(timedelta(hours=12))
    layby.deliver()
    assert layby.ledger("ann") == [(0, "unknown", "unknown")]
    assert len(channel.handed) == 1


def test_what_was_not_handed_over_goes_back_and_does_not_count(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    answering(layby, Answer.NOT_HANDED_OVER, Answer.ACCEPTED)
    layby.deliver()
    assert layby.rows("SELECT state, attempts FROM sends") == [("sent", 1)]


def test_a_template_that_cannot_be_filled_fails_its_own_send_only(layby: Layby) -> None:
    layby.set_up()
    text = {"subject": "{{ amount }}", "text": "x"}
    definition = {"channel": "email", "default_language": "en", "texts": {"en": text}}
    layby.must("put_template", template="hello", definition=definition)
    layby.add("ann", values={"amount": "10 EUR"})
    layby.add("bob")
    layby.must("activate", customers=["ann", "bob"])
    layby.must("assign_schedule", customers=["ann", "bob"], schedule="dunning")
    layby.deliver()
    assert layby.ledger("ann") == [(0, "sent", "accepted")]
    assert layby.ledger("bob") == [(0, "failed", "not_rendered")]
    assert "'amount' is undefined" in layby.one("SELECT detail FROM sends WHERE state = 'failed'")


def test_an_assignments_values_come_before_the_customers(layby: Layby) -> None:
    layby.set_up()
    text = {"subject": "{{ amount }}", "text": "x"}
    definition = {"channel": "email", "default_language": "en", "texts": {"en": text}}
    layby.must("put_template", template="hello", definition=definition)
    layby.add("ann", values={"amount": "old"})
    layby.must("activate", customers=["ann"])
    values = {"amount": "new"}
    layby.must("assign_schedule", customers=["ann"], schedule="dunning", values=values)
    channel = answering(layby, Answer.ACCEPTED)
    layby.deliver()
    assert [message.subject for message in channel.handed] == ["new"]


def test_who_has_no_address_is_skipped_with_the_reason_and_the_sequence_goes_on(
    layby: Layby,
) -> None:
    layby.set_up()
    layby.must("add_customer", customers=["ann"], profile={"phone": "+33612345678"})
    layby.must("activate", customers=["ann"])
    layby.must("assign_schedule", customers=["ann"], schedule="dunning")
    layby.deliver()
    assert layby.ledger("ann") == [(0, "skipped", "reachable")]
    assert layby.one("SELECT detail FROM sends") == "the customer has no email address"
    assert layby.one("SELECT channel FROM pending") == "sms"


def test_a_missing_template_skips_with_its_name(layby: Layby) -> None:
    step = {"offset": "PT0S", "channel": "email", "template": "nonesuch"}
    layby.set_up(schedule={"anchor": "assigned_at", "steps": [step]})
    layby.on_schedule("ann")
    layby.deliver()
    assert layby.ledger("ann") == [(0, "skipped", "has_template")]


def test_an_account_without_a_sender_keeps_its_sends_until_it_has_one(layby: Layby) -> None:
    layby.account = "quiet"
    layby.must("put_account", active_limit=1, test_clock=START)
    layby.must(
        "put_template",
        template="hello",
        definition={
            "channel": "email",
            "default_language": "en",
            "texts": {"en": {"subject": "s", "text": "t"}},
        },
    )
    step = {"offset": "PT0S", "channel": "email", "template": "hello"}
    schedule = {"anchor": "assigned_at", "steps": [step]}
    layby.must("put_schedule", schedule="dunning", definition=schedule)
    layby.on_schedule("ann")
    layby.deliver()
    assert layby.ledger("ann") == []
    layby.must("put_account", email_from="Quiet <q@quiet.example>")
    layby.travel(timedelta(hours=1))
    layby.deliver()
    assert layby.ledger("ann") == [(0, "sent", "accepted")]


def test_what_is_due_in_closed_hours_waits_for_the_window(layby: Layby) -> None:
    """Late out of an outage: the gate looks at the present hour, not at the planned one."""
    schedule = {
        "anchor": "due_date",
        "steps": [{"offset": "P0D", "at": "17:30", "channel": "email", "template": "hello"}],
        "window": {
            "weekdays": ["mon", "tue", "wed", "thu", "fri"],
            "from": "09:00",
            "until": "18:00",
        },
    }
    layby.set_up(schedule=schedule)
    layby.add("ann")
    layby.must("activate", customers=["ann"])
    layby.must("assign_schedule", customers=["ann"], schedule="dunning", due_date="2026-01-05")
    layby.travel(timedelta(hours=11))
    layby.deliver()
    assert layby.mails() == []
    assert layby.one("SELECT due_at FROM pending") == START.replace(day=6, hour=9)
    layby.travel(timedelta(hours=14))
    layby.deliver()
    assert layby.ledger("ann") == [(0, "sent", "accepted")]


def test_a_step_sets_the_status_when_it_starts(layby: Layby) -> None:
    step = {"offset": "PT0S", "channel": "email", "template": "hello", "sets_status": "late"}
    layby.set_up(schedule={"anchor": "assigned_at", "steps": [step]})
    layby.on_schedule("ann")
    layby.deliver()
    assert layby.one("SELECT status FROM slots") == "late"
    layby.must("record", customers=["ann"], fact={"fact": "payment"})
    assert layby.one("SELECT status FROM slots") == "on_track"


def test_a_test_account_never_uses_the_live_channels(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    live = Answering(Answer.ACCEPTED)
    desk = Desk(live)
    layby.delivery.desks = {Channel.EMAIL: desk}
    deliver(layby.delivery, layby.account, Channel.EMAIL)
    desk.close()
    assert live.handed == []
    assert len(layby.mails()) == 1


def test_an_adapter_that_fails_costs_its_own_send_only(layby: Layby) -> None:
    class Broken(Answering):
        async def hand_over(self, message: Message, deadline: Deadline) -> Result:
            if message.recipient.startswith("ann"):
                raise ZeroDivisionError
            return await super().hand_over(message, deadline)

    layby.set_up()
    layby.on_schedule("ann", "bob")
    layby.delivery.test_desks[Channel.EMAIL].close()
    broken: dict[Channel, Any] = {Channel.EMAIL: Desk(Broken(Answer.ACCEPTED))}
    layby.delivery.test_desks = {**layby.delivery.test_desks, **broken}
    layby.deliver()
    assert layby.ledger("ann") == [(0, "unknown", "unknown")]
    assert layby.ledger("bob") == [(0, "sent", "accepted")]


def test_desk_gets_its_room_back_when_the_database_keeps_no_outcome_of_what_was_not_rendered(
    layby: Layby,
) -> None:
    """And what was started goes back, not to be found by the rescue a lease later."""
    layby.set_up()
    layby.must(
        "put_template",
        template="hello",
        definition={
            "channel": "email",
            "default_language": "en",
            "texts": {"en": {"subject": "Hello", "text": "{{ amount }}"}},
        },
    )
    layby.on_schedule("ann", "bob")
    layby.must("update_customer", customers=["bob"], profile={"values": {"amount": 7}})
    channel = answering(layby, Answer.ACCEPTED)
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            """
            CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no room'; END $$;
            CREATE TRIGGER spoil BEFORE INSERT ON sends FOR EACH ROW
            WHEN (NEW.rule = 'not_rendered') EXECUTE FUNCTION spoil();
            """
        )
    with pytest.raises(DatabaseError):
        deliver(layby.delivery, layby.account, Channel.EMAIL)
    desk = layby.delivery.test_desks[Channel.EMAIL]
    assert desk.reserve(1000, Deadline.after(0)) == channel.capacity
    assert layby.rows("SELECT 1 FROM started") == []
    assert layby.rows("SELECT customer, attempts FROM pending ORDER BY 1") == [
        ("ann", 0),
        ("bob", 0),
    ]
    assert channel.handed == []


class Repeating(Answering):
    """A provider that says in every answer whom it was for."""

    async def hand_over(self, message: Message, _: object) -> Result:
        said = f"250 for <{message.recipient.upper()}>"
        return Result(Answer.ACCEPTED, said, f"id-{message.recipient}")


def test_answer_that_names_its_recipient_is_kept_without_it(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann")
    desk = Desk(Repeating(Answer.ACCEPTED))
    layby.delivery.test_desks = {**layby.delivery.test_desks, Channel.EMAIL: desk}
    layby.deliver()
    assert layby.rows("SELECT detail, provider_id FROM sends") == [("250 for <…>", "id-…")]
