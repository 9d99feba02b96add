"""The desk: where a worker process hands messages over, on one long-lived event loop."""

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from queue import SimpleQueue

import structlog

from channels.protocol import ChannelAdapter
from config.machine_time import Deadline
from domain.message import Answer, Message, Result

log = structlog.get_logger()

Answered = tuple[int, Result]
"""A send's number, and what became of it."""


class _Waiter:
    """Somebody in the line for room; told apart from others of the same account."""

    def __init__(self, account: str) -> None:
        self.account = account


class Desk:
    """One channel's hand-overs in this process. No more are open at once than it has capacity.

    Who comes first is served first. While several accounts wait for room, each has an equal share
    of it at most: one whose hand-overs are slow does not keep the others from theirs.
    """

    def __init__(self, adapter: ChannelAdapter) -> None:
        self.adapter = adapter
        self._free = adapter.capacity
        self._held: Counter[str] = Counter()
        self._line: list[_Waiter] = []
        self._changed = threading.Condition()
        self._carriers: set[asyncio.Task[None]] = set()  # the loop itself holds them weakly
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=f"desk-{adapter.name}", daemon=True
        )
        self._thread.start()

    def reserve(self, most: int, patience: Deadline, account: str = "") -> int:
        """Wait in line for room, and take up to `most` of it; 0: there was none in time."""
        waiter = _Waiter(account)
        with self._changed:
            self._line.append(waiter)
            try:
                while not (room := self._room_for(waiter)):
                    if not self._changed.wait(timeout=max(0.0, patience.remaining_seconds)):
                        return 0
                taken = min(most, room)
                self._free -= taken
                self._held[account] += taken
                return taken
            finally:
                self._line.remove(waiter)
                self._changed.notify_all()

    @property
    def waiting(self) -> list[str]:
        """The accounts that wait for room, in line."""
        with self._changed:
            return [one.account for one in self._line]

    def _room_for(self, waiter: "_Waiter") -> int:
        """What a waiter may take now: nothing, if somebody before it may."""
        if not self._free:
            return 0
        share = max(1, self.adapter.capacity // len({one.account for one in self._line}))
        for one in self._line:
            left = min(self._free, share - self._held[one.account])
            if left > 0:
                return left if one is waiter else 0
        # Shares are rounded down: what is left over goes by the line.
        return self._free if self._line[0] is waiter else 0

    def give_back(self, count: int, account: str = "") -> None:
        """Free room that was reserved and not used."""
        with self._changed:
            self._free += count
            self._held[account] -= count
            if not self._held[account]:
                del self._held[account]
            self._changed.notify_all()

    def hand_over(
        self, messages: Sequence[tuple[int, Message]], deadline: Deadline, account: str = ""
    ) -> Iterator[list[Answered]]:
        """Hand all over at once, each in reserved room; yields answers as they come in."""
        if not messages:
            return
        batch = _Batch(account)
        self._loop.call_soon_threadsafe(self._carry, batch, iter(messages), deadline)
        missing = len(messages)
        while missing:
            ready = batch.answers.get()
            while not batch.answers.empty():
                ready += batch.answers.get()
            missing -= len(ready)
            yield ready

    def close(self) -> None:
        """Close idle connections and end the loop; nothing may be open any more."""
        asyncio.run_coroutine_threadsafe(self.adapter.close(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def _carry(
        self, batch: "_Batch", left: Iterator[tuple[int, Message]], deadline: Deadline
    ) -> None:
        carrier = self._loop.create_task(self._carrier(batch, left, deadline))
        self._carriers.add(carrier)
        carrier.add_done_callback(self._carriers.discard)

    async def _carrier(
        self, batch: "_Batch", left: Iterator[tuple[int, Message]], deadline: Deadline
    ) -> None:
        """Hand over what nobody has taken yet. Where one must wait, the next goes on meanwhile.

        So all are open at once, and an adapter that need not wait costs no task for each message.
        """
        one = next(left, None)
        if one is not None:
            self._carry(batch, left, deadline)
        while one is not None:
            await self._one(*one, deadline, batch)
            one = next(left, None)

    async def _one(self, send: int, message: Message, deadline: Deadline, batch: "_Batch") -> None:
        try:
            result = await self.adapter.hand_over(message, deadline)
        except Exception as error:
            log.exception("adapter_failed", channel=self.adapter.name)
            result = Result(Answer.UNKNOWN, f"the adapter failed: {type(error).__name__}")
        batch.ready.append((send, _without(result, message.recipient)))
        if len(batch.ready) == 1:
            # What else is answered in this turn of the loop is passed on, and settled, with it.
            self._loop.call_soon(self._pass_on, batch)

    def _pass_on(self, batch: "_Batch") -> None:
        ready, batch.ready = batch.ready, []
        self.give_back(len(ready), batch.account)
        batch.answers.put(ready)


class _Batch:
    """What was handed over together; touched by the loop alone but for `answers`."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.ready: list[Answered] = []
        self.answers: SimpleQueue[list[Answered]] = SimpleQueue()


def _without(result: Result, recipient: str) -> Result:
    """An answer is kept for good: whatever a provider says, never whom it was for."""
    said = (result.detail, result.provider_id or "")
    if not any(recipient.lower() in words.lower() for words in said):
        return result
    named = re.compile(re.escape(recipient), re.IGNORECASE)
    return result._replace(
        detail=named.sub("…", result.detail),
        provider_id=result.provider_id and named.sub("…", result.provider_id),
    )
