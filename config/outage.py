"""A server that is away, in the log of a process: who reads it at night wants three lines."""

import threading

import structlog

from config.machine_time import Deadline, machine_seconds

log = structlog.get_logger()

_AGAIN_SECONDS = 60.0


class Outage:
    """Tells that a server is away once, then every minute, and that it is back; from any thread.

    Whoever asks it comes several times a second, and would tell each time.
    """

    def __init__(self, server: str) -> None:
        self._away, self._still_away, self._back = (
            f"{server}_{what}" for what in ("away", "still_away", "back")
        )
        self._began: float | None = None
        self._again = Deadline(0.0)
        self._changed = threading.Lock()

    def away(self, reason: str) -> None:
        """It did not answer."""
        with self._changed:
            now = machine_seconds()
            if self._began is None:
                self._began = now
                log.warning(self._away, reason=reason)
            elif self._again.passed:
                log.warning(
                    self._still_away,
                    reason=reason,
                    for_seconds=round(now - self._began),
                )
            else:
                return
            self._again = Deadline.after(_AGAIN_SECONDS)

    def over(self) -> None:
        """It has answered."""
        if self._began is None:
            return
        with self._changed:
            if self._began is not None:
                after = round(machine_seconds() - self._began, 1)
                self._began = None
                log.info(self._back, after_seconds=after)
