"""URLs of channels: what they mean, and what a wrong one says without showing a credential."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from channels.configure import channel_from_urls, channels_from_urls
from channels.protocol import ChannelError
from domain.message import Channel

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "name", "capacity"),
    [
        ("file://outbox", "file://outbox", 1000),
        ("file:///var/Spool?capacity=5&fsync=yes", "file:///var/Spool", 5),
        ("smtp://mail.example.com", "smtp://mail.example.com:587", 20),
        ("SMTP://user:pw@mail.example.com:25?connections=3", "smtp://mail.example.com:25", 3),
        ("smtps://mail.example.com", "smtps://mail.example.com:465", 20),
        ("smtp://[::1]:2525", "smtp://[::1]:2525", 20),
    ],
)
def test_url_gives_name_and_capacity(url: str, name: str, capacity: int) -> None:
    adapter = channel_from_urls(url, Channel.EMAIL)
    assert (adapter.name, adapter.capacity) == (name, capacity)


def test_several_urls_are_one_channel_in_their_order() -> None:
    urls = "smtp://a.example.com?connections=3, file://outbox"
    names = ["smtp://a.example.com:587", "file://outbox"]
    assert [adapter.name for adapter in channels_from_urls(urls, Channel.EMAIL)] == names
    adapter = channel_from_urls(urls, Channel.EMAIL)
    assert (adapter.name, adapter.capacity) == (", ".join(names), 3)


def test_relative_folder_stays_where_the_process_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    adapter = channel_from_urls("file://Out/box", Channel.SMS)
    os.chdir("/")
    assert asyncio.run(adapter.check()) == f"writes to {tmp_path}/Out/box"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "LAYBY_EMAIL_URL is empty"),
        ("file://a,", "a comma too many"),
        ("outbox", "does not start with a scheme"),
        ("smpt://h", "Did you mean smtp://"),
        ("gopher://h", "none of file://, smtp://, smtps://"),
        ("smtp://", "names no host"),
        ("smtp://:25", "names no host"),
        ("smtp://h:x", "port must be a number from 1 to 65535"),
        ("smtp://h:99999", "port must be a number from 1 to 65535"),
        ("smtp://h:0", "port must be"),
        ("smtp://h/x", "a path after its host"),
        ("smtp://user@h", "a user name without a password"),
        ("smtp://h?conections=2", "no parameter conections. Did you mean connections"),
        ("smtp://h?x=2", "no parameter x. Known: connections, starttls, ca,"),
        ("smtp://h?connections=0", "connections: Input should be greater than or equal to 1"),
        ("smtp://h?connections=many", "connections: Input should be a valid integer"),
        ("smtp://h?starttls=maybe", "starttls: Input should be 'auto', 'require' or 'never'"),
        ("smtp://h?idle=1&idle=2", "a parameter twice"),
        ("smtps://h?starttls=auto", "encrypts from the start"),
        ("smtp://h?ca=/no/such/file", "ca file /no/such/file can't be read"),
        ("smtp://h?hello=a%20b", "hello: String should match"),
        (f"smtp://{'a' * 64}.example.com", "can't be a name in DNS"),
        ("file://", "must name a folder"),
        ("file://user:pw@x", "must name a folder"),
        ("file://x?capacity=0", "capacity: Input should be greater"),
        ("file://x,smtp://", "URL 2 of LAYBY_EMAIL_URL"),
    ],
)
def test_wrong_url_says_what_to_do(url: str, says: str) -> None:
    with pytest.raises(ChannelError, match=re.escape(says)):
        channels_from_urls(url, Channel.EMAIL)


def test_sms_does_not_go_over_smtp() -> None:
    with pytest.raises(ChannelError, match="URL 1 of LAYBY_SMS_URL: its scheme is none of file://"):
        channels_from_urls("smtp://h", Channel.SMS)


@pytest.mark.parametrize(
    "url",
    [
        f"smtp://user:{SECRET}@h:x",
        f"smtp://user:{SECRET}/@h",
        f"smtp://user:{SECRET}#@h",
        f"smtp://user:a?{SECRET}@h",
        f"smtp://user:a?{SECRET}=1@h",
        f"smtp://user:a?x=1&{SECRET}@h",
        f"smtp://user:25?{SECRET}=1@h",
        f"smtp://user:a,{SECRET}@h",
        f"smtp://user:a,{SECRET}://x@h",
        f"smtp://user:[{SECRET}@h",
        f"smtp://:{SECRET}@h",
        f"smtpx://user:{SECRET}@h",
        f"user:{SECRET}@h",
        f"smtps://user:{SECRET}@h?starttls=auto",
        f"smtp://user:{SECRET}@h?x=1",
        f"smtp://user:{SECRET}@h?connections=x",
        f"file://user:{SECRET}@x",
    ],
)
def test_error_never_shows_a_credential(url: str) -> None:
    with pytest.raises(ChannelError) as refused:
        channels_from_urls(url, Channel.EMAIL)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


def test_adapter_never_shows_a_credential() -> None:
    adapter = channel_from_urls(f"smtp://user:{SECRET}@h", Channel.EMAIL)
    shown = repr(adapter) + adapter.name + repr(vars(adapter))
    assert SECRET not in shown
    assert "user" not in shown
