"""Who may not be written to, in an account: docs/consent.md."""

from dataclasses import dataclass, field
from typing import NamedTuple

CHANNELS = ("email", "sms")
AIMS = {"email": "address", "sms": "number"}


class Word(NamedTuple):
    """`schedule` is empty for all of the account's messages."""

    kind: str
    aim: str
    target: str
    channel: str
    schedule: str


@dataclass
class Words:
    """What was said and stands, and beside which customer it was recorded, if beside one."""

    said: dict[Word, str | None] = field(default_factory=dict)

    def of_recipient(self, kind: str, channel: str, target: str, schedule: str) -> None:
        self.said.setdefault(Word(kind, AIMS[channel], target, channel, schedule), None)

    def of_customer(
        self, kind: str, name: str, at: dict[str, str], channels: list[str], schedule: str
    ) -> None:
        for channel in channels:
            self.said.setdefault(Word(kind, "customer", name, channel, schedule), None)
            if channel in at:
                beside = Word(kind, AIMS[channel], at[channel], channel, schedule)
                self.said.setdefault(beside, name)

    def forbid(self, name: str, at: dict[str, str], channel: str, schedule: str) -> bool:
        return any(
            word.channel == channel
            and word.schedule in ("", schedule)
            and self._is_of(word, name, at)
            for word in self.said
        )

    def lift_of_customer(
        self, kind: str, name: str, at: dict[str, str], channels: list[str], schedule: str | None
    ) -> bool:
        """For the addresses that it has, too, and for those that were recorded beside it."""
        lifted = [
            word
            for word, beside in self.said.items()
            if word.kind == kind
            and word.channel in channels
            and schedule in (None, word.schedule)
            and (self._is_of(word, name, at) or beside == name)
        ]
        return self._lift(lifted)

    def lift_of_recipient(
        self, kind: str, channel: str, target: str, who: list[str], schedule: str | None
    ) -> bool:
        """And for the customers who have it."""
        lifted = [
            word
            for word in self.said
            if word.kind == kind
            and word.channel == channel
            and schedule in (None, word.schedule)
            and (word.target == target or (word.aim == "customer" and word.target in who))
        ]
        return self._lift(lifted)

    def _lift(self, lifted: list[Word]) -> bool:
        for word in lifted:
            del self.said[word]
        return bool(lifted)

    def _is_of(self, word: Word, name: str, at: dict[str, str]) -> bool:
        if word.aim == "customer":
            return word.target == name
        return at.get(word.channel) == word.target
