"""`tick`: what a scheduler's ticks cost with nothing to do, with ten enrolled or a million.

One of each: the ring, the sweep and the rescue's look. By turns on both databases.
"""

from statistics import median

from benchmarks.figure import Figure
from config.machine_time import machine_seconds
from ops.installation import Installation
from scheduler.ticks import Watch, ring, sweep
from workers.broker import Bell


def measure(ten: Installation, million: Installation, ticks: int) -> Figure:
    """Microseconds of an idle tick, and how many times that of ten it is."""
    among = {"ten": _Ticker(ten), "million": _Ticker(million)}
    seconds: dict[str, list[float]] = {name: [] for name in among}
    for _ in range(ticks):
        for name, ticker in among.items():
            began = machine_seconds()
            ticker.tick()
            seconds[name].append((machine_seconds() - began) * 1e6)
    value, limit = median(seconds["million"]), median(seconds["ten"])
    return Figure(value, "µs", limit, value / limit, "as with 10 enrolled", {"ticks": ticks})


class _Ticker:
    def __init__(self, installation: Installation) -> None:
        self._engine = installation.engine
        self._bell: Bell = installation.bell()
        self._watch = Watch()

    def tick(self) -> None:
        done = ring(self._engine, self._bell).due
        done += sweep(self._engine)
        done += self._watch.rescue(self._engine)
        assert done == 0, "an idle tick"
