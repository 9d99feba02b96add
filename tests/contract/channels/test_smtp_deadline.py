"""After the deadline nothing is sent: the final dot is held back, and no buffer keeps a byte."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from contract.channels.conftest import an_email
from contract.channels.scripted_smtp import HANG, HOLD, STOP_READING, Script, ScriptedSmtpServer

from channels.configure import channel_from_urls
from channels.protocol import ChannelAdapter
from config.machine_time import Deadline
from domain.message import Answer, Channel, Result

SIGNAL_SECONDS = 10
MORE_THAN_ANY_SOCKET_BUFFER = ("x" * 900 + "\n") * 15_000

Outcome = TypeVar("Outcome")


def using(
    server: ScriptedSmtpServer, do: Callable[[ChannelAdapter], Awaitable[Outcome]]
) -> Outcome:
    async def scenario() -> Outcome:
        adapter = channel_from_urls(f"smtp://127.0.0.1:{server.port}?connections=2", Channel.EMAIL)
        try:
            return await do(adapter)
        finally:
            await adapter.close()

    return asyncio.run(scenario())


def freeze_before_the_reply_is_read(script: Script, deadline: Deadline) -> None:
    """Let the server reply, and stop the event loop past the deadline before anyone reads it.

    The loop looks for input and timers, then runs callbacks. The reply is there before its next
    look, which finds no timer due; `freeze` runs, then the reply's reader; only then comes the
    look that finds the deadline's timer due.
    """

    def freeze() -> None:
        threading.Event().wait(deadline.remaining_seconds + 0.01)

    script.released.set()
    assert script.replied.wait(SIGNAL_SECONDS)
    asyncio.get_running_loop().call_soon(freeze)


def test_event_loop_frozen_past_the_deadline_before_the_final_dot_holds_it_back(
    smtp_server: ScriptedSmtpServer,
) -> None:
    """The timer comes too late here: only the check just before the dot can tell."""
    smtp_server.script.at["DATA"] = [HOLD]

    async def scenario(adapter: ChannelAdapter) -> Result:
        deadline = Deadline.after(0.5)
        hand_over = asyncio.create_task(adapter.hand_over(an_email(), deadline))
        await asyncio.to_thread(smtp_server.script.reached.wait, SIGNAL_SECONDS)
        freeze_before_the_reply_is_read(smtp_server.script, deadline)
        return await hand_over

    result = using(smtp_server, scenario)
    assert result.answer is Answer.TEMPORARY
    assert isinstance(smtp_server.endings.get(timeout=SIGNAL_SECONDS), ConnectionResetError)
    assert smtp_server.accepted == []


def test_server_that_stops_reading_gets_nothing_after_the_deadline(
    smtp_server: ScriptedSmtpServer,
) -> None:
    """What waits in our buffers is discarded with the connection, not sent when it reads again."""
    smtp_server.script.at["DATA"] = [STOP_READING]
    email = an_email(MORE_THAN_ANY_SOCKET_BUFFER)
    result = using(smtp_server, lambda it: it.hand_over(email, Deadline.after(1.5)))
    assert result.answer is Answer.TEMPORARY
    smtp_server.script.resumed.set()
    assert isinstance(smtp_server.endings.get(timeout=SIGNAL_SECONDS), ConnectionResetError)
    assert smtp_server.accepted == []


def test_hand_over_that_waited_for_a_connection_until_the_deadline_never_began(
    smtp_server: ScriptedSmtpServer,
) -> None:
    smtp_server.script.at["MAIL"] = [HANG, HANG]

    async def scenario(adapter: ChannelAdapter) -> Result:
        holders = [
            asyncio.create_task(adapter.hand_over(an_email(), Deadline.after(1))) for _ in range(2)
        ]
        await asyncio.to_thread(smtp_server.script.reached.wait, SIGNAL_SECONDS)
        result = await adapter.hand_over(an_email(), Deadline.after(0.1))
        await asyncio.gather(*holders)
        return result

    assert using(smtp_server, scenario).answer is Answer.NOT_HANDED_OVER
    assert smtp_server.connections_made == 2


@pytest.mark.parametrize("stage", ["connection", "MAIL", "RCPT", "DATA", "final dot"])
def test_cancelled_hand_over_leaves_no_transaction_behind(
    smtp_server: ScriptedSmtpServer, stage: str
) -> None:
    """Its connection is closed; the next message travels on another one."""
    smtp_server.script.at[stage] = [HANG]

    async def scenario(adapter: ChannelAdapter) -> Result:
        hand_over = asyncio.create_task(adapter.hand_over(an_email(), Deadline.after(10)))
        await asyncio.to_thread(smtp_server.script.reached.wait, SIGNAL_SECONDS)
        hand_over.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hand_over
        await asyncio.to_thread(smtp_server.endings.get, timeout=SIGNAL_SECONDS)
        return await adapter.hand_over(an_email(), Deadline.after(10))

    assert using(smtp_server, scenario).answer is Answer.ACCEPTED
    assert smtp_server.connections_made == 2
    assert len(smtp_server.accepted) == 1
