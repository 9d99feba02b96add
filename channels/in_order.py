"""Several providers of one channel, tried in order."""

from collections.abc import Sequence

from channels.protocol import ChannelAdapter, ChannelError
from config.machine_time import Deadline
from domain.message import Answer, Message, Result


class ProvidersInOrder:
    """Tries the next provider only after a definite, temporary no: nothing was delivered.

    Never after `unknown` (it may have been), `permanent` (the next would say the same) or
    `not_handed_over` (no time is left).
    """

    def __init__(self, providers: Sequence[ChannelAdapter]) -> None:
        self._providers = providers
        self.name = ", ".join(provider.name for provider in providers)
        self.capacity = providers[0].capacity

    async def hand_over(self, message: Message, deadline: Deadline) -> Result:
        """Answer with what the last provider that was tried said."""
        refusals: list[str] = []
        for provider in self._providers:
            if refusals and deadline.passed:
                break
            result = await provider.hand_over(message, deadline)
            if result.answer is Answer.NOT_HANDED_OVER and refusals:
                break
            if result.answer is not Answer.TEMPORARY:
                return result
            refusals.append(result.detail)
        return Result(Answer.TEMPORARY, "; ".join(refusals))

    async def check(self) -> str:
        """Check each; one that is unusable is an error, though others could stand in."""
        said: list[str] = []
        broken: list[str] = []
        for provider in self._providers:
            try:
                said.append(await provider.check())
            except ChannelError as error:
                broken.append(str(error))
        if broken:
            raise ChannelError("\n".join(broken))
        return "; ".join(said)

    async def close(self) -> None:
        for provider in self._providers:
            await provider.close()
