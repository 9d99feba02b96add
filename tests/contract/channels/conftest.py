"""Every adapter with a provider that shows what reached it: the contract's fixtures."""

import email
import email.policy
import json
import mailbox
import socket
import ssl
from collections.abc import Callable, Iterator
from email.message import MIMEPart
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import quote, unquote

import pytest
import trustme
from contract.channels.scripted_smtp import PASSWORD, USER, ScriptedSmtpServer, running

from domain.message import Channel, Message


class Received(NamedTuple):
    """A message as the customer's side reads it."""

    key: str
    recipient: str
    sender: str
    subject: str | None
    text: str
    html: str | None


class Provider(Protocol):
    """What a new adapter's provider must show to take part in the contract."""

    channel: Channel
    url: str
    """Of a provider that works; takes no more than `capacity` hand-overs at once."""
    unreachable_url: str
    capacity: int

    def received(self) -> list[Received]:
        """All that was handed over."""

    def wait_until_unconnected(self) -> None: ...


def read_email(content: bytes) -> Received:
    """Read an email with the standard library: an independent witness of how it was built."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert not message.defects
    plain, html = (_text(message.get_body((kind,))) for kind in ("plain", "html"))
    assert plain is not None
    return Received(
        unquote(str(message["Message-ID"]).strip("<>").rpartition("@")[0]),
        str(message["To"]),
        str(message["From"]),
        message["Subject"] and str(message["Subject"]),
        plain,
        html,
    )


def _text(part: MIMEPart | None) -> str | None:
    if part is None:
        return None
    return str(part.get_content()).replace("\r\n", "\n").removesuffix("\n")


class Folder:
    """file://, for either channel."""

    capacity = 7

    def __init__(self, channel: Channel, folder: Path) -> None:
        self.channel = channel
        self._outbox = folder / "out box"
        occupied = folder / "file"
        occupied.write_text("no folder can be made below a file")
        self.url = f"file://{quote(str(self._outbox))}?capacity={self.capacity}"
        self.unreachable_url = f"file://{occupied}/outbox"

    def received(self) -> list[Received]:
        if not self._outbox.exists():
            return []
        if self.channel is Channel.SMS:
            lines = map(json.loads, (self._outbox / "sms.jsonl").read_text("utf-8").splitlines())
            return [
                Received(line["key"], line["to"], line["from"], None, line["text"], None)
                for line in lines
            ]
        box = mailbox.Maildir(self._outbox / "email", create=False)
        return [read_email(box.get_bytes(name)) for name in box.keys()]  # noqa: SIM118 - a Maildir iterates over messages

    def wait_until_unconnected(self) -> None:
        """It has no connections."""


class Smtp:
    """smtp:// in its three forms of encryption."""

    capacity = 4
    channel = Channel.EMAIL

    def __init__(self, server: ScriptedSmtpServer, url: Callable[[int], str]) -> None:
        self.server = server
        self.url = url(server.port)
        with socket.create_server(("127.0.0.1", 0)) as closed:
            self.unreachable_url = url(closed.getsockname()[1])

    def received(self) -> list[Received]:
        return [read_email(envelope.original_content or b"") for envelope in self.server.accepted]

    def wait_until_unconnected(self) -> None:
        self.server.wait_until(lambda: not self.server.open_connections)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def smtp_server() -> Iterator[ScriptedSmtpServer]:
    """In the clear, without sign-in."""
    with running() as server:
        yield server


@pytest.fixture
def start_tls_server(server_tls: ssl.SSLContext) -> Iterator[ScriptedSmtpServer]:
    with running(server_tls, start_tls=True, sign_in=True) as server:
        yield server


def smtp_providers(tls: ssl.SSLContext, ca: Path) -> dict[str, Callable[[], Iterator[Smtp]]]:
    signed_in = f"{quote(USER)}:{quote(PASSWORD, safe='')}@127.0.0.1"

    def plain() -> Iterator[Smtp]:
        with running() as server:
            yield Smtp(server, lambda port: f"smtp://127.0.0.1:{port}?connections=4")

    def implicit_tls() -> Iterator[Smtp]:
        with running(tls, sign_in=True) as server:
            yield Smtp(server, lambda port: f"smtps://{signed_in}:{port}?connections=4&ca={ca}")

    def start_tls() -> Iterator[Smtp]:
        with running(tls, start_tls=True, sign_in=True) as server:
            yield Smtp(server, lambda port: f"smtp://{signed_in}:{port}?connections=4&ca={ca}")

    return {"smtp": plain, "smtps": implicit_tls, "smtp+starttls": start_tls}


@pytest.fixture(params=["file email", "file sms", "smtp", "smtps", "smtp+starttls"])
def provider(
    request: pytest.FixtureRequest, tmp_path: Path, server_tls: ssl.SSLContext, authority_file: Path
) -> Iterator[Provider]:
    if request.param == "file email":
        yield Folder(Channel.EMAIL, tmp_path)
    elif request.param == "file sms":
        yield Folder(Channel.SMS, tmp_path)
    else:
        yield from smtp_providers(server_tls, authority_file)[request.param]()


@pytest.fixture
def message(provider: Provider) -> Message:
    if provider.channel is Channel.SMS:
        return Message("acme/e-1/2", Channel.SMS, "+491711234567", "Layby", None, "Fällig", None)
    return an_email()


def an_email(text: str = "Guten Tag,\n.\nfällig: 10 €.") -> Message:
    return Message(
        "acme/e-1/2",
        Channel.EMAIL,
        "bob@example.com",
        "Läden, Müller & Söhne <billing@example.org>",
        "Fällig: 10 €",
        text,
        "<p>Fällig</p>",
    )
