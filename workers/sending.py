"""What every door does once it has read a command: into the inbox, then ring."""

from collections.abc import Iterable

from domain.commands import Command
from storage import inbox
from storage.database import Engine, transact
from storage.inbox import Accepted
from workers.broker import BULK, LIFECYCLE, Bell, Ring


def accept_all(
    engine: Engine, bell: Bell, commands: Iterable[Command], door: str
) -> list[Accepted]:
    """Make commands ours, all or none, and ring for them. Another attempt reads them anew."""
    accepted = transact(
        engine, lambda connection: inbox.accept_commands(connection, commands, door)
    )
    ring_for(bell, accepted)
    return accepted


def ring_for(bell: Bell, accepted: Iterable[Accepted | None]) -> None:
    """Ring once for each account that has something new; what was there before was rung for."""
    fresh = {(one.account, one.bulk) for one in accepted if one is not None and one.fresh}
    bell.ring(Ring(BULK if bulk else LIFECYCLE, account) for account, bulk in sorted(fresh))
