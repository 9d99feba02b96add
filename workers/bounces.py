"""What a provider says of a recipient, as a command: nobody is there.

It comes into the inbox in the transaction that settles its send, so that it is not lost, and is
applied as any other: whoever has that address or number hears nothing more by it.
"""

from uuid import uuid4

import structlog
from pydantic import ValidationError

from domain.commands import LONGEST_LINE, Suppress
from domain.journey import Kind
from domain.message import Channel, Message, Result

log = structlog.get_logger()


def suppression(account: str, message: Message, provider: str, result: Result) -> Suppress | None:
    """Suppress whom a message could not reach, in every schedule of the account.

    None: nobody could say so by a command, for it is no address that one would be taken with.
    """
    address, number = (
        (message.recipient, None) if message.channel is Channel.EMAIL else (None, message.recipient)
    )
    try:
        return Suppress(
            id=f"bounce-{uuid4()}",
            account=account,
            kind=Kind.SUPPRESS,
            address=address,
            number=number,
            source=provider[:LONGEST_LINE],
            reason=result.detail[:LONGEST_LINE],
        )
    except ValidationError:
        log.warning("not_suppressed", account=account, message=message.key)
        return None
