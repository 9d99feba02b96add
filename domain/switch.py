"""Kill switches: what operators pause, and what each forbids while it is on."""

from enum import StrEnum
from typing import NamedTuple

from domain.message import Channel


class Scope(StrEnum):
    """What a switch is of."""

    QUEUE = "queue"
    """Commands: of all accounts."""
    CHANNEL = "channel"
    """Sends on a channel: of one account, or of all."""
    TEMPLATE = "template"
    """Sends with a template of one account, in any language and version."""
    ACCOUNT = "account"
    """All sends of an account; its commands are still applied."""


class CommandQueue(StrEnum):
    """The queues that apply commands. Those that send are named like their channel."""

    LIFECYCLE = "lifecycle"
    BULK = "bulk"


class SwitchError(Exception):
    """There can be no such switch; the message says what to do."""


class Switch(NamedTuple):
    """One thing that can be paused. `account` is empty for what concerns all accounts."""

    scope: Scope
    name: str
    account: str = ""

    @property
    def in_words(self) -> str:
        if self.scope in (Scope.QUEUE, Scope.ACCOUNT):
            return f"{self.scope} {self.name}"
        return f"{self.scope} {self.name} of {self.account or 'all accounts'}"

    @property
    def channels(self) -> list[str]:
        """Whose sends it forbids; none: it forbids applying commands."""
        if self.scope is Scope.QUEUE:
            return []
        return (
            [self.name] if self.scope is Scope.CHANNEL else [channel.value for channel in Channel]
        )

    @property
    def template(self) -> str | None:
        return self.name if self.scope is Scope.TEMPLATE else None


def switch_named(scope: Scope, name: str, account: str | None = None) -> Switch:
    """The switch that a person means; the queues of sends are the channels of all accounts."""
    known = [channel.value for channel in Channel]
    if scope is Scope.QUEUE:
        return _queue(name, account, known)
    if scope is Scope.CHANNEL:
        if name not in known:
            raise SwitchError(f"There is no channel {name}. Channels: {', '.join(known)}.")
        return Switch(scope, name, account or "")
    if scope is Scope.ACCOUNT:
        if account not in (None, name):
            raise SwitchError(f"Account {name} is not {account}. Leave out --account.")
        return Switch(scope, name, name)
    if not account:
        raise SwitchError(f"Template {name} needs its account. Add: --account ACCOUNT")
    return Switch(scope, name, account)


def _queue(name: str, account: str | None, channels: list[str]) -> Switch:
    known = [*(queue.value for queue in CommandQueue), *channels]
    if name not in known:
        raise SwitchError(f"There is no queue {name}. Queues: {', '.join(known)}.")
    if account:
        raise SwitchError(
            f"Queue {name} serves all accounts, and can't be paused for {account} alone. Leave "
            f"out --account, or pause what it sends: layby pause channel email --account {account}"
        )
    return Switch(Scope.CHANNEL if name in channels else Scope.QUEUE, name)


class Paused(NamedTuple):
    """What is paused for one account, as one start reads it."""

    switches: frozenset[tuple[str, str]] = frozenset()
    """(scope, name)."""

    def sends_nothing_by(self, channel: Channel) -> bool:
        """Whether nothing at all may start on a channel."""
        by_channel = (Scope.CHANNEL.value, channel.value) in self.switches
        return by_channel or any(scope == Scope.ACCOUNT for scope, _ in self.switches)

    @property
    def applies_not_all(self) -> bool:
        """Whether a queue of commands is paused."""
        return any(scope == Scope.QUEUE for scope, _ in self.switches)

    def has_template(self, template: str) -> bool:
        return (Scope.TEMPLATE.value, template) in self.switches
