"""`python -m benchmarks.null_delivery delivery-200`: the delivery process, but for its channel.

The number is the start size. The channel has room for one start of each thread: no more is started
than can be handed over at once, and no start is a part of one because another has the room.
"""

import sys

from benchmarks.null_channel import NullChannel
from channels.protocol import ChannelAdapter
from config.logs import configure_logs
from config.settings import read_settings
from domain.message import Channel
from ops.installation import open_installation
from ops.processes import deliver_through
from workers.turns import THREADS


def main(name: str) -> None:
    configure_logs(name)
    start_size = int(name.rpartition("-")[2])
    adapters: dict[Channel, ChannelAdapter] = {
        channel: NullChannel(THREADS * start_size) for channel in Channel
    }
    with open_installation(read_settings()) as installation:
        deliver_through(installation, adapters, adapters, start_size)


if __name__ == "__main__":
    main(sys.argv[1])
