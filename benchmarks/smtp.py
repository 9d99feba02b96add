"""`smtp`: messages a second through smtp:// to a sink here, beside a bare aiosmtplib pool.

The engine's are sends from due to settled by one delivery process with twenty connections; the
pool's are twenty connections in one process that send the same message, made beforehand, again and
again. `channel_alone` is the engine's adapter without the engine, building the message each time.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Collection
from statistics import median

import aiosmtplib
import psycopg

from benchmarks.figure import Figure, beside
from benchmarks.ground import Ground, running, url_of
from benchmarks.pipeline import fill, settled_between, steadily, the_time
from benchmarks.sizes import Size
from channels.configure import channel_from_urls
from channels.email_message import build_email
from channels.protocol import ChannelAdapter
from config.machine_time import Deadline
from domain.message import Answer, Channel, Message
from ops.installation import Installation

FIGURES = ("smtp",)
_CONNECTIONS = 20
_MESSAGE = Message(
    key="0123456789abcdef0123456789abcdef",
    channel=Channel.EMAIL,
    recipient="c-1@inbox.example",
    sender="Sample Energy <billing@sample.example>",
    subject="Your invoice INV-1 is due on 2027-03-05",
    text="This is only a heads-up: your invoice is due in a week.\n" * 10,
    html="<p>This is only a heads-up: your invoice is due in a week.</p>\n" * 36,
)
"""As long as a reminder from examples/templates."""


def measure(ground: Ground, size: Size, wanted: Collection[str]) -> dict[str, Figure]:
    """All three in each round."""
    del wanted
    engine, pool, alone = [], [], []
    port = _free_port()
    url = f"smtp://127.0.0.1:{port}?connections={_CONNECTIONS}&starttls=never"
    with ground.installation("smtp") as installation:
        fill(installation, size.customers)
        with running(installation, f"sink-{port}", program="benchmarks.smtp_sink"):
            _wait_for(port)
            for _ in range(size.rounds):
                ground.settle_down()
                engine.append(_engine(installation, url, size.window_seconds))
                pool.append(asyncio.run(_pool(port, size.window_seconds)))
                alone.append(asyncio.run(_channel(url, size.window_seconds)))
    figure = beside(
        engine, pool, "messages/s", "", connections=_CONNECTIONS, channel_alone=median(alone)
    )
    return {"smtp": figure}


def _engine(installation: Installation, url: str, seconds: float) -> float:
    with psycopg.connect(url_of(installation), autocommit=True) as connection:
        with running(installation, "delivery", "scheduler", LAYBY_EMAIL_URL=url):
            steadily(connection)
            first = the_time(connection)
            time.sleep(seconds)
            last = the_time(connection)
        return settled_between(connection, first, last) / (last - first)


async def _pool(port: int, seconds: float) -> float:
    content = build_email(_MESSAGE).content
    sender, recipient = "billing@sample.example", _MESSAGE.recipient

    def sending(client: aiosmtplib.SMTP) -> Callable[[], Awaitable[object]]:
        return lambda: client.sendmail(sender, [recipient], content)

    clients = [
        aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False)
        for _ in range(_CONNECTIONS)
    ]
    await asyncio.gather(*(client.connect() for client in clients))
    try:
        return await _rate([sending(client) for client in clients], seconds)
    finally:
        for client in clients:
            client.close()


async def _channel(url: str, seconds: float) -> float:
    adapter = channel_from_urls(url, Channel.EMAIL)
    try:
        return await _rate([lambda: _hand_over(adapter)] * _CONNECTIONS, seconds)
    finally:
        await adapter.close()


async def _hand_over(adapter: ChannelAdapter) -> None:
    result = await adapter.hand_over(_MESSAGE, Deadline.after(30))
    assert result.answer is Answer.ACCEPTED, result


async def _rate(senders: list[Callable[[], Awaitable[object]]], seconds: float) -> float:
    """How often all of them together get through in a second, each one message at a time."""
    until = Deadline.after(seconds)

    async def send_on(send: Callable[[], Awaitable[object]]) -> int:
        sent = 0
        while not until.passed:
            await send()
            sent += 1
        return sent

    return sum(await asyncio.gather(*map(send_on, senders))) / seconds


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    patience = Deadline.after(30)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            if patience.passed:
                raise
            time.sleep(0.05)
        else:
            return
