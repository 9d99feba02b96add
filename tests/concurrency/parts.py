"""A reminder in its parts: started here, settled there, rescued by another."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from harness import KEY, Layby

from config.machine_time import Deadline
from domain.message import Answer, Channel, Message, Result
from storage import settles
from storage.database import Engine
from storage.settles import Flight
from workers.delivery import HAND_OVER_SECONDS, Delivery, deliver
from workers.desk import Desk
from workers.lifecycle import apply_to
from workers.settling import settle


class SilentDesk:
    """A desk that takes one batch of messages and never answers: they stay started."""

    def __init__(self, room: int) -> None:
        self.handed: dict[int, Message] = {}
        self.asked = False
        self._room = room

    def reserve(self, most: int, _: Deadline, __: str) -> int:
        self.asked = True
        return min(most, self._room)

    def give_back(self, count: int, _: str) -> None:
        """Its room is endless."""

    def hand_over(
        self, messages: Sequence[tuple[int, Message]], _: Deadline, __: str
    ) -> Iterator[list[tuple[int, Result]]]:
        self.handed.update(messages)
        return iter(())


def start(
    engine: Engine, account: str, channel: Channel = Channel.EMAIL, room: int = 1000
) -> dict[int, Message]:
    """Start one batch of what is due and leave it started, as a worker that is killed does."""
    desk = SilentDesk(room)
    desks = cast("dict[Channel, Desk]", {channel: desk})
    delivery = Delivery(
        engine=engine,
        desks=desks,
        test_desks=desks,
        key=KEY,
        worker="silent",
        stopping=lambda: desk.asked,
    )
    deliver(delivery, account, channel)
    return desk.handed


def apply_for(layby: Layby, *customers: str) -> None:
    """Apply what waits for these customers and no others, as one of several workers may."""
    apply_to(layby.engine, layby.account, list(customers))


class Taken(NamedTuple):
    """A started send, as its worker remembers it."""

    account: str
    send: int
    flight: Flight


def started(engine: Engine, account: str) -> list[Taken]:
    """What is started and not settled, oldest first."""
    with engine.connect() as connection:
        found = settles.flights(connection, account, "true")
    return sorted(Taken(account, one.send, one) for one in found)


def answer(engine: Engine, sends: Sequence[Taken], with_: Answer) -> None:
    """Settle these sends, all with the same answer."""
    result = Result(with_, "as the test says")
    answers = [(one.flight._replace(send=one.send), result) for one in sends]
    if answers:
        settle(engine, sends[0].account, answers, provider=None)


class FakeClock:
    """Machine time of a watch, so that a lease passes at once."""

    def __init__(self) -> None:
        self.now_seconds = 1000.0

    def __call__(self) -> float:
        return self.now_seconds

    def pass_lease(self) -> None:
        self.now_seconds += HAND_OVER_SECONDS + 1
