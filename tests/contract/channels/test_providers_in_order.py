"""The next provider is tried only when the one before surely delivered nothing."""

import asyncio
from pathlib import Path

import pytest
from contract.channels.conftest import an_email
from contract.channels.scripted_smtp import HANG, ScriptedSmtpServer

from channels.configure import channel_from_urls
from channels.protocol import ChannelError
from config.machine_time import Deadline
from domain.message import Answer, Channel, Result


def send(urls: str, seconds: float = 5) -> Result:
    async def scenario() -> Result:
        adapter = channel_from_urls(urls, Channel.EMAIL)
        try:
            return await adapter.hand_over(an_email(), Deadline.after(seconds))
        finally:
            await adapter.close()

    return asyncio.run(scenario())


def stood_in(folder: Path) -> bool:
    return (folder / "email").exists()


@pytest.mark.parametrize(
    ("stage", "reply", "answer", "next_is_tried"),
    [
        ("connection", "421 busy", Answer.ACCEPTED, True),
        ("RCPT", "450 later", Answer.ACCEPTED, True),
        ("RCPT", "550 no such user", Answer.PERMANENT, False),
        ("RCPT", "550 5.1.1 no such user", Answer.NO_SUCH_RECIPIENT, False),
        ("final dot", "250 ok", Answer.ACCEPTED, False),
        ("final dot", "gibberish", Answer.UNKNOWN, False),
        ("final dot", HANG, Answer.UNKNOWN, False),
        ("MAIL", HANG, Answer.TEMPORARY, False),
    ],
)
def test_next_provider_is_tried_after_a_temporary_no_with_time_left(
    smtp_server: ScriptedSmtpServer,
    tmp_path: Path,
    stage: str,
    reply: str,
    answer: Answer,
    next_is_tried: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    smtp_server.script.at[stage] = [reply]
    urls = f"smtp://127.0.0.1:{smtp_server.port},file://{tmp_path}"
    assert send(urls, seconds=0.3).answer is answer
    assert stood_in(tmp_path) is next_is_tried


def test_no_provider_left_is_a_temporary_no_that_names_each(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = send(f"file://{tmp_path}/file/a,file://{tmp_path}/file/b")
    assert result.answer is Answer.TEMPORARY
    assert "file/a" in result.detail
    assert "file/b" in result.detail


def test_check_names_the_broken_provider_though_another_could_stand_in(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    adapter = channel_from_urls(f"file://{tmp_path},file://{tmp_path}/file/b", Channel.EMAIL)
    with pytest.raises(ChannelError, match="file/b"):
        asyncio.run(adapter.check())


def test_check_speaks_for_each_provider(tmp_path: Path) -> None:
    adapter = channel_from_urls(f"file://{tmp_path}/a,file://{tmp_path}/b", Channel.EMAIL)
    said = asyncio.run(adapter.check())
    assert f"writes to {tmp_path}/a; writes to {tmp_path}/b" == said
