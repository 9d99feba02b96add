"""How a process is told to stop, without a signal handler.

A handler runs between any two instructions of the main thread; one that logs or sets an Event
waits for ever for a lock that the interrupted code holds. So the signals are blocked and waited
for, or looked at, where there is time for them.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger()

STOP_WITHIN_SECONDS = 40
"""From the signal to the end of the process, whatever it waits for. docs/upgrading.md states it."""

_SIGNALS = {signal.SIGTERM, signal.SIGINT}
_ENDED = signal.SIGUSR1
"""Our own, to ourselves: the work has ended without being told."""


class Stop:
    """Whether SIGTERM or SIGINT has come. Once heard, another one ends the process at once."""

    def __init__(self) -> None:
        self._heard = False

    def is_set(self) -> bool:
        """Look, from any thread."""
        return self._heard or bool(signal.sigpending() & _SIGNALS)

    def wait(self) -> None:
        """Wait for it, in the main thread."""
        number = signal.sigwait(_SIGNALS | {_ENDED})
        self._heard = True
        log.info("stopping", signal=signal.Signals(number).name)
        end = threading.Timer(STOP_WITHIN_SECONDS, _end)
        end.daemon = True
        end.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def wait_beside(self, work: Callable[[], None]) -> None:
        """Do work that looks at `is_set` in a thread, and wait for it in the main thread.

        Work that ends by itself ends the waiting; what it raised is raised here.
        """
        failed: list[BaseException] = []

        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - raised by the main thread
                failed.append(error)
            os.kill(os.getpid(), _ENDED)

        thread = threading.Thread(target=run, name="work", daemon=True)
        thread.start()
        self.wait()
        thread.join()
        if failed:
            raise failed[0]


def _end() -> None:
    """Leave what could not be finished as it is: another process rescues or takes it up."""
    log.error("not_finished", after_seconds=STOP_WITHIN_SECONDS)
    os._exit(1)


def end_process() -> None:
    """Tell this process to stop, from one of its threads that can't go on."""
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def stop_signal() -> Iterator[Stop]:
    """Hold the signals from here on; threads that are started inside inherit that."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS | {_ENDED})
    log.info("started")
    yield Stop()
    log.info("stopped")
