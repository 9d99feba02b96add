"""How a process is told to stop, without a signal handler.

A handler runs between any two instructions of the main thread; one that logs or sets an Event
waits for ever for a lock that the interrupted code holds. So the signals are blocked and waited
for, or looked at, where there is time for them.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger()

_SIGNALS = {signal.SIGTERM, signal.SIGINT}


class Stop:
    """Whether SIGTERM or SIGINT has come. Once heard, another one ends the process at once."""

    def __init__(self) -> None:
        self._heard = False

    def is_set(self) -> bool:
        """Look, from any thread."""
        return self._heard or bool(signal.sigpending() & _SIGNALS)

    def wait(self) -> None:
        """Wait for it, in the main thread."""
        number = signal.sigwait(_SIGNALS)
        self._heard = True
        log.info("stopping", signal=signal.Signals(number).name)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def end_process() -> None:
    """Tell this process to stop, from one of its threads that can't go on."""
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def stop_signal() -> Iterator[Stop]:
    """Hold the signals from here on; threads that are started inside inherit that."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    log.info("started")
    yield Stop()
    log.info("stopped")
