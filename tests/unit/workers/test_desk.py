"""The desk hands a batch over all at once, whether its channel must wait or not."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing

from config.machine_time import Deadline
from domain.message import Answer, Channel, Message, Result
from workers.desk import Desk

MANY = 20
TAKEN = Result(Answer.ACCEPTED, "")
MESSAGE = Message("key", Channel.EMAIL, "ann@example.org", "acme@example.org", "Hello", "Hi", None)


class Provider:
    """Answers as the test says."""

    name = "test"
    capacity = MANY

    def __init__(self, answer: Callable[[], Awaitable[Result]]) -> None:
        self._answer = answer

    async def hand_over(self, message: Message, deadline: Deadline) -> Result:
        del message, deadline
        return await self._answer()

    async def check(self) -> str:
        return ""

    async def close(self) -> None:
        pass


def handed_over(answer: Callable[[], Awaitable[Result]]) -> list[list[tuple[int, Result]]]:
    with closing(Desk(Provider(answer))) as desk:
        deadline = Deadline.after(20)
        assert desk.reserve(MANY, deadline) == MANY
        answers = list(desk.hand_over([(n, MESSAGE) for n in range(MANY)], deadline))
        assert desk.reserve(MANY, deadline) == MANY, "all of its room is free again"
        desk.give_back(MANY)
    return answers


def test_all_of_a_batch_are_open_at_once() -> None:
    """Each waits until every other has begun."""
    together = asyncio.Barrier(MANY)

    async def answer() -> Result:
        try:
            async with asyncio.timeout(5):
                await together.wait()
        except TimeoutError:
            await together.abort()  # nobody else waits in vain
            raise
        return TAKEN

    answered = [one for some in handed_over(answer) for one in some]
    assert sorted(answered) == [(n, TAKEN) for n in range(MANY)]


def test_what_is_answered_without_waiting_is_passed_on_together_and_in_order() -> None:
    async def answer() -> Result:
        return TAKEN

    assert handed_over(answer) == [[(n, TAKEN) for n in range(MANY)]]


def test_adapter_that_fails_leaves_each_unknown_and_the_desk_at_work() -> None:
    async def answer() -> Result:
        raise RuntimeError

    [answered] = handed_over(answer)
    assert [result.answer for _, result in answered] == [Answer.UNKNOWN] * MANY
