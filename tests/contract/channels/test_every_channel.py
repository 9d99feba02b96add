"""What every adapter must do. A new one joins by its provider in conftest.py."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from contract.channels.conftest import Provider

from channels.configure import channel_from_urls
from channels.protocol import ChannelAdapter, ChannelError
from config.machine_time import Deadline
from domain.message import Answer, Channel, Message, Result

Outcome = TypeVar("Outcome")


def using(
    url: str, channel: Channel, do: Callable[[ChannelAdapter], Awaitable[Outcome]]
) -> Outcome:
    async def scenario() -> Outcome:
        adapter = channel_from_urls(url, channel)
        try:
            return await do(adapter)
        finally:
            await adapter.close()

    return asyncio.run(scenario())


def hand_over(provider: Provider, message: Message, seconds: float = 10) -> Result:
    return using(
        provider.url, provider.channel, lambda it: it.hand_over(message, Deadline.after(seconds))
    )


def test_message_arrives_exactly_as_it_was_given(provider: Provider, message: Message) -> None:
    result = hand_over(provider, message)
    assert result.answer is Answer.ACCEPTED
    [received] = provider.received()
    assert received.text == message.text
    assert received.html == message.html
    assert received.subject == message.subject
    assert received.recipient == message.recipient
    assert received.sender.replace('"', "") == message.sender


def test_lines_that_begin_with_a_dot_arrive_as_they_are(
    provider: Provider, message: Message
) -> None:
    """A dot alone ends a message in SMTP (RFC 5321 4.5.2); here it is text."""
    text = "Dear Bob,\n.\n..two\n.x\nthe end"
    assert hand_over(provider, message._replace(text=text)).answer is Answer.ACCEPTED
    assert [received.text for received in provider.received()] == [text]


def test_key_handed_over_twice_is_there_twice(provider: Provider, message: Message) -> None:
    """Neither a folder nor SMTP deduplicates: who counts messages must see both."""
    hand_over(provider, message)
    hand_over(provider, message)
    assert [received.key for received in provider.received()] == [message.key] * 2


def test_passed_deadline_hands_nothing_over(provider: Provider, message: Message) -> None:
    result = hand_over(provider, message, seconds=0)
    assert result.answer is Answer.NOT_HANDED_OVER
    assert provider.received() == []


def test_more_hand_overs_than_capacity_wait_and_all_arrive(
    provider: Provider, message: Message
) -> None:
    keys = [f"key-{number}" for number in range(provider.capacity * 3)]

    async def all_at_once(adapter: ChannelAdapter) -> list[Result]:
        assert adapter.capacity == provider.capacity
        deadline = Deadline.after(10)
        return await asyncio.gather(
            *(adapter.hand_over(message._replace(key=key), deadline) for key in keys)
        )

    results = using(provider.url, provider.channel, all_at_once)
    assert {result.answer for result in results} == {Answer.ACCEPTED}
    assert sorted(received.key for received in provider.received()) == sorted(keys)


def test_closed_channel_keeps_no_connection(provider: Provider, message: Message) -> None:
    async def send_and_close(adapter: ChannelAdapter) -> None:
        await adapter.hand_over(message, Deadline.after(10))
        await adapter.close()
        provider.wait_until_unconnected()

    using(provider.url, provider.channel, send_and_close)


def test_closed_channel_keeps_no_connection_of_a_hand_over_that_ends_later(
    provider: Provider, message: Message
) -> None:
    async def close_then_send(adapter: ChannelAdapter) -> None:
        await adapter.close()
        await adapter.hand_over(message, Deadline.after(10))
        provider.wait_until_unconnected()

    using(provider.url, provider.channel, close_then_send)


def test_unreachable_provider_is_a_temporary_no(provider: Provider, message: Message) -> None:
    result = using(
        provider.unreachable_url,
        provider.channel,
        lambda it: it.hand_over(message, Deadline.after(10)),
    )
    assert result.answer is Answer.TEMPORARY
    assert message.recipient not in result.detail


def test_check_says_that_it_is_usable_and_hands_nothing_over(provider: Provider) -> None:
    said = using(provider.url, provider.channel, lambda it: it.check())
    assert said
    assert provider.received() == []


def test_check_says_what_to_do_about_an_unreachable_provider(provider: Provider) -> None:
    with pytest.raises(ChannelError, match=r"Cannot .+: .+\. \w+ .+\."):
        using(provider.unreachable_url, provider.channel, lambda it: it.check())


def test_message_that_can_never_be_sent_is_refused_for_good(
    provider: Provider, message: Message
) -> None:
    result = hand_over(provider, message._replace(text="half a pair: \ud83d"))
    assert result.answer is Answer.PERMANENT
    assert provider.received() == []
