"""What each word of an SMTP server means, at each stage; docs/channels.md has the table."""

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest
from contract.channels.conftest import an_email
from contract.channels.scripted_smtp import HANG, HANG_UP, PASSWORD, USER, ScriptedSmtpServer

from channels.configure import channel_from_urls
from config.machine_time import Deadline
from domain.message import Answer, Channel, Result

SIGNAL_SECONDS = 10
BEFORE_THE_DOT = ["connection", "EHLO", "MAIL", "RCPT", "DATA"]


def send(server: ScriptedSmtpServer, times: int = 1, seconds: float = 10, more: str = "") -> Result:
    """Hand over one message after another through one channel; the last answer."""

    async def scenario() -> Result:
        adapter = channel_from_urls(f"smtp://127.0.0.1:{server.port}{more}", Channel.EMAIL)
        try:
            for _ in range(times):
                result = await adapter.hand_over(an_email(), Deadline.after(seconds))
            return result
        finally:
            await adapter.close()

    return asyncio.run(scenario())


def send_signed_in(server: ScriptedSmtpServer, ca: Path) -> Result:
    user = f"{quote(USER)}:{quote(PASSWORD, safe='')}"

    async def scenario() -> Result:
        adapter = channel_from_urls(f"smtp://{user}@127.0.0.1:{server.port}?ca={ca}", Channel.EMAIL)
        try:
            return await adapter.hand_over(an_email(), Deadline.after(10))
        finally:
            await adapter.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("stage", "reply", "answer"),
    [
        ("connection", "421 too busy", Answer.TEMPORARY),
        ("connection", "554 no service for you", Answer.TEMPORARY),
        ("EHLO", "421 closing", Answer.TEMPORARY),
        ("EHLO", "550 who is that", Answer.TEMPORARY),
        ("MAIL", "421 closing", Answer.TEMPORARY),
        ("MAIL", "451 later", Answer.TEMPORARY),
        ("MAIL", "530 5.7.0 sign in first", Answer.TEMPORARY),
        ("MAIL", "550 5.7.1 sender not yours", Answer.TEMPORARY),
        ("RCPT", "421 closing", Answer.TEMPORARY),
        ("RCPT", "450 4.2.1 greylisted", Answer.TEMPORARY),
        ("RCPT", "550 5.1.1 <bob@example.com> unknown", Answer.NO_SUCH_RECIPIENT),
        ("RCPT", "550 5.1.2 no such domain", Answer.NO_SUCH_RECIPIENT),
        ("RCPT", "551 5.1.6 moved, no forwarding", Answer.NO_SUCH_RECIPIENT),
        ("RCPT", "556 that domain takes no mail", Answer.NO_SUCH_RECIPIENT),
        ("RCPT", "450 4.1.1 mailbox to be made yet", Answer.TEMPORARY),
        ("RCPT", "450 5.1.1 says both", Answer.TEMPORARY),
        ("final dot", "354 5.1.1 says neither", Answer.UNKNOWN),
        ("RCPT", "550 no such user, or we do not like you", Answer.PERMANENT),
        ("RCPT", "550 5.1.8 your domain is not there", Answer.PERMANENT),
        ("RCPT", "552 5.2.2 mailbox full", Answer.PERMANENT),
        ("RCPT", "553 5.7.1 relay denied", Answer.TEMPORARY),
        ("RCPT", "530 5.7.0 sign in first", Answer.TEMPORARY),
        ("RCPT", "554 5.7.1 <bob@example.com>: Relay access denied", Answer.TEMPORARY),
        ("DATA", "421 closing", Answer.TEMPORARY),
        ("DATA", "451 later", Answer.TEMPORARY),
        ("DATA", "554 no", Answer.PERMANENT),
        ("DATA", "550 5.2.1 disabled", Answer.NO_SUCH_RECIPIENT),
        ("DATA", "250 what do you mean", Answer.TEMPORARY),
        ("final dot", "421 closing", Answer.TEMPORARY),
        ("final dot", "451 4.3.1 disk full", Answer.TEMPORARY),
        ("final dot", "552 too much", Answer.PERMANENT),
        ("final dot", "554 5.7.1 spam", Answer.PERMANENT),
        ("final dot", "550 5.1.10 recipient not found", Answer.NO_SUCH_RECIPIENT),
        ("final dot", "250 2.0.0 queued", Answer.ACCEPTED),
        ("final dot", "354 go on", Answer.UNKNOWN),
        ("final dot", "what?", Answer.UNKNOWN),
    ],
)
def test_reply_is_mapped(
    smtp_server: ScriptedSmtpServer, stage: str, reply: str, answer: Answer
) -> None:
    smtp_server.script.at[stage] = [reply]
    result = send(smtp_server)
    assert result.answer is answer
    assert len(smtp_server.accepted) == (answer is Answer.ACCEPTED)


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("STARTTLS", "454 not now"),
        ("STARTTLS", "501 what"),
        ("AUTH", "454 later"),
        ("AUTH", "535 5.7.8 no"),
    ],
)
def test_refused_encryption_or_sign_in_says_nothing_of_the_recipient(
    start_tls_server: ScriptedSmtpServer, authority_file: Path, stage: str, reply: str
) -> None:
    start_tls_server.script.at[stage] = [reply]
    result = send_signed_in(start_tls_server, authority_file)
    assert result.answer is Answer.TEMPORARY
    assert "MAIL" not in start_tls_server.commands


def test_wrong_password_is_named_as_the_thing_to_fix(
    start_tls_server: ScriptedSmtpServer, authority_file: Path
) -> None:
    start_tls_server.script.at["AUTH"] = ["535 5.7.8 bad credentials"]
    detail = send_signed_in(start_tls_server, authority_file).detail
    assert "answered 535 5.7.8 to AUTH. Correct the user name and password" in detail
    assert PASSWORD not in detail
    assert USER not in detail


@pytest.mark.parametrize("stage", BEFORE_THE_DOT)
def test_connection_lost_before_the_final_dot_is_a_definite_no(
    smtp_server: ScriptedSmtpServer, stage: str
) -> None:
    smtp_server.script.at[stage] = [HANG_UP]
    assert send(smtp_server).answer is Answer.TEMPORARY
    assert smtp_server.accepted == []


def test_connection_lost_after_the_final_dot_is_unknown(smtp_server: ScriptedSmtpServer) -> None:
    smtp_server.script.at["final dot"] = [HANG_UP]
    assert send(smtp_server).answer is Answer.UNKNOWN


@pytest.mark.parametrize("stage", BEFORE_THE_DOT)
def test_server_silent_before_the_final_dot_is_a_definite_no_and_is_reset(
    smtp_server: ScriptedSmtpServer, stage: str
) -> None:
    smtp_server.script.at[stage] = [HANG]
    assert send(smtp_server, seconds=0.2).answer is Answer.TEMPORARY
    assert isinstance(smtp_server.endings.get(timeout=SIGNAL_SECONDS), ConnectionResetError)
    assert smtp_server.accepted == []


def test_server_silent_after_the_final_dot_is_unknown_and_is_reset(
    smtp_server: ScriptedSmtpServer,
) -> None:
    smtp_server.script.at["final dot"] = [HANG]
    assert send(smtp_server, seconds=0.2).answer is Answer.UNKNOWN
    assert isinstance(smtp_server.endings.get(timeout=SIGNAL_SECONDS), ConnectionResetError)


@pytest.mark.parametrize("end", [HANG, HANG_UP, "gibberish", "354 go on"])
def test_unknown_is_never_sent_again(smtp_server: ScriptedSmtpServer, end: str) -> None:
    """G4: not on a fresh connection either, though the one it broke on was used before."""
    smtp_server.script.at["final dot"] = ["250 ok", end]
    assert send(smtp_server, times=2, seconds=0.5).answer is Answer.UNKNOWN
    assert smtp_server.commands.count("final dot") == 2


@pytest.mark.parametrize(
    ("stage", "reply"),
    [("MAIL", "451 later"), ("RCPT", "450 later"), ("RCPT", "550 no"), ("DATA", "554 no")],
)
def test_connection_is_used_again_after_a_refusal(
    smtp_server: ScriptedSmtpServer, stage: str, reply: str
) -> None:
    """The refused transaction is reset, so that it leaves nothing in the next one."""
    smtp_server.script.at[stage] = [reply]
    assert send(smtp_server, times=2).answer is Answer.ACCEPTED
    assert smtp_server.connections_made == 1
    assert smtp_server.accepted[0].rcpt_tos == ["bob@example.com"]


@pytest.mark.parametrize("stage", BEFORE_THE_DOT[2:])
def test_connection_is_dropped_after_421(smtp_server: ScriptedSmtpServer, stage: str) -> None:
    smtp_server.script.at[stage] = ["421 closing"]
    assert send(smtp_server, times=2).answer is Answer.ACCEPTED
    assert smtp_server.connections_made == 2


def test_answer_carries_the_servers_id_without_addresses(smtp_server: ScriptedSmtpServer) -> None:
    assert send(smtp_server).provider_id == "Ok: queued as 4F2A for"


def test_refusal_names_code_and_stage_but_no_address(smtp_server: ScriptedSmtpServer) -> None:
    smtp_server.script.at["RCPT"] = ["550 5.1.1 bob@example.com: mailbox of bob is gone"]
    detail = send(smtp_server).detail
    assert detail.endswith("answered 550 5.1.1 to RCPT TO")
    assert "bob" not in detail
