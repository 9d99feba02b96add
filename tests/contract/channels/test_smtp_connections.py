"""Connections are used again, encrypted as the URL says, and given up when they are stale."""

import asyncio
import ssl
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme
from contract.channels.conftest import an_email
from contract.channels.scripted_smtp import HANG_UP, PASSWORD, USER, ScriptedSmtpServer, running

from channels.configure import channel_from_urls
from channels.protocol import ChannelError
from config.machine_time import Deadline
from domain.message import Answer, Channel, Result


def send_twice(
    server: ScriptedSmtpServer, more: str = "", between: bytes | None = None
) -> list[Result]:
    """Two messages through one channel; `between` them the server says so and closes."""

    async def scenario() -> list[Result]:
        adapter = channel_from_urls(f"smtp://127.0.0.1:{server.port}{more}", Channel.EMAIL)
        try:
            first = await adapter.hand_over(an_email(), Deadline.after(10))
            if between is not None:
                # Blocks this loop too, so that it can't notice the end before the next message.
                server.hang_up_on_all(between)
            return [first, await adapter.hand_over(an_email(), Deadline.after(10))]
        finally:
            await adapter.close()

    return asyncio.run(scenario())


def check(url: str) -> str:
    async def scenario() -> str:
        return await channel_from_urls(url, Channel.EMAIL).check()

    return asyncio.run(scenario())


def test_second_message_travels_on_the_first_ones_connection(
    smtp_server: ScriptedSmtpServer,
) -> None:
    send_twice(smtp_server)
    assert smtp_server.connections_made == 1
    assert len(smtp_server.accepted) == 2


@pytest.mark.parametrize("last_words", [b"", b"421 4.4.2 idle too long\r\n"])
def test_connection_that_the_server_closed_while_idle_is_replaced(
    smtp_server: ScriptedSmtpServer, last_words: bytes
) -> None:
    results = send_twice(smtp_server, between=last_words)
    assert [result.answer for result in results] == [Answer.ACCEPTED] * 2
    assert smtp_server.connections_made == 2


@pytest.mark.parametrize("last_word", ["421 4.4.2 idle too long", HANG_UP])
def test_stale_connection_is_replaced_only_once(
    smtp_server: ScriptedSmtpServer, last_word: str
) -> None:
    """On a fresh connection the same word is the server's answer."""

    async def scenario() -> Result:
        adapter = channel_from_urls(f"smtp://127.0.0.1:{smtp_server.port}", Channel.EMAIL)
        await adapter.hand_over(an_email(), Deadline.after(10))
        smtp_server.script.at["MAIL"] = [last_word, last_word]
        result = await adapter.hand_over(an_email(), Deadline.after(10))
        await adapter.close()
        return result

    assert asyncio.run(scenario()).answer is Answer.TEMPORARY
    assert smtp_server.connections_made == 2
    assert smtp_server.commands.count("MAIL") == 3


def test_connection_idle_for_longer_than_the_url_allows_is_not_used_again(
    smtp_server: ScriptedSmtpServer,
) -> None:
    send_twice(smtp_server, "?idle=0")
    assert smtp_server.connections_made == 2


def test_password_is_not_sent_to_a_server_without_encryption() -> None:
    with running(sign_in=True) as server, pytest.raises(ChannelError, match="offers no STARTTLS"):
        check(f"smtp://user:secret@127.0.0.1:{server.port}")
    assert server.commands == ["EHLO"]


def test_nothing_is_sent_in_the_clear_where_encryption_is_required(
    smtp_server: ScriptedSmtpServer,
) -> None:
    [first, _] = send_twice(smtp_server, "?starttls=require")
    assert first.answer is Answer.TEMPORARY
    assert "MAIL" not in smtp_server.commands


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_certificate_of_an_unknown_authority_is_refused(
    server_tls: ssl.SSLContext, scheme: str
) -> None:
    with running(server_tls, start_tls=scheme == "smtp") as server:
        with pytest.raises(ChannelError, match=r"certificate is not trusted .* \?ca="):
            check(f"{scheme}://127.0.0.1:{server.port}")
        assert "MAIL" not in server.commands


def test_certificate_for_another_host_is_refused(
    authority: trustme.CA, authority_file: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("mail.example.org").configure_cert(context)
    with (
        running(context) as server,
        pytest.raises(ChannelError, match="certificate is not trusted"),
    ):
        check(f"smtps://127.0.0.1:{server.port}?ca={authority_file}")


def test_tls_to_a_port_that_speaks_none_says_so(smtp_server: ScriptedSmtpServer) -> None:
    with pytest.raises(ChannelError, match="TLS failed"):
        check(f"smtps://127.0.0.1:{smtp_server.port}")


def test_sign_in_happens_after_encryption(
    start_tls_server: ScriptedSmtpServer, authority_file: Path
) -> None:
    user = f"{quote(USER)}:{quote(PASSWORD, safe='')}"
    said = check(f"smtp://{user}@127.0.0.1:{start_tls_server.port}?ca={authority_file}")
    assert said == f"smtp://127.0.0.1:{start_tls_server.port} answers and lets us in"
    assert start_tls_server.commands == ["EHLO", "STARTTLS", "EHLO", "AUTH", "QUIT"]
