"""Machine time: leases, deadlines and latencies. Monotonic, never faked, never stepped."""

import time
from typing import NamedTuple

# Linux stops CLOCK_MONOTONIC while the machine is suspended; a lease must not stop with it.
# Elsewhere CLOCK_MONOTONIC is the nearest there is.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def machine_seconds() -> float:
    """Seconds since some fixed moment, counting suspended time."""
    return time.clock_gettime(_CLOCK)


class Deadline(NamedTuple):
    """A moment in machine time."""

    at_seconds: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        return cls(machine_seconds() + seconds)

    @property
    def remaining_seconds(self) -> float:
        return self.at_seconds - machine_seconds()

    @property
    def passed(self) -> bool:
        return self.remaining_seconds <= 0
