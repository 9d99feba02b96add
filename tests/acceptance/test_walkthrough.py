"""The walk-through of the documents, command by command, as its reader would type it."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acceptance.stage import KEY, Stage

from channels.configure import channel_from_urls
from domain.message import Channel
from storage.database import Engine
from workers.actors import declare_delivery, declare_lifecycle
from workers.broker import LIFECYCLE, RedisBell, connect_redis, make_broker
from workers.consuming import consuming
from workers.delivery import Delivery
from workers.desk import Desk

PAGE = Path(__file__).parents[2] / "docs" / "walkthrough.md"
BLOCK = re.compile(r"(?:`([\w.-]+)`:\n\n)?```(\w+)\n(.*?)```", re.DOTALL)


@contextmanager
def up(engine: Engine, stage: Stage, outbox: Path) -> Iterator[None]:
    """What `layby up` runs that this needs, in this process: it costs a start of each."""
    desks = {channel: Desk(channel_from_urls(f"file://{outbox}", channel)) for channel in Channel}
    broker = make_broker(connect_redis(stage.redis_url))
    bell = RedisBell(broker)
    declare_lifecycle(broker, bell, engine)
    declare_delivery(broker, bell, Delivery(engine, {}, desks, KEY.encode(), "test"))
    with consuming(broker, {LIFECYCLE, *(channel.value for channel in Channel)}, 1):
        yield
    for desk in desks.values():
        desk.close()
    broker.client.close()


def test_every_command_of_the_walkthrough_says_what_the_page_says(
    stage: Stage, engine: Engine, tmp_path: Path
) -> None:
    """In the page's order: files are written, commands are run, each line shown is told."""
    told, commands, shown = "", 0, 0
    with up(engine, stage, tmp_path / "outbox"):
        for name, kind, block in BLOCK.findall(PAGE.read_text("utf-8")):
            if name:
                (stage.folder / name).write_text(block, "utf-8")
            elif kind == "sh" and block != "layby up\n":
                told = ""
                for command in block.splitlines():
                    done = stage.layby(*shlex.split(command)[1:])
                    assert done.returncode == 0, (command, done.stderr)
                    told += done.stdout
                    commands += 1
            elif kind == "text":
                for line in block.splitlines():
                    assert line in told.splitlines(), (line, told)
                    shown += 1
    assert (commands, shown) == (13, 33)
