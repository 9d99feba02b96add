"""What a provider says of a recipient, as a command: nobody is there.

It comes into the inbox in the transaction that settles its send, so that it is not lost, and is
applied as any other: whoever has that address or number hears nothing more by it.
"""

from uuid import uuid4

from domain.commands import Suppress
from domain.journey import Kind
from domain.message import Channel, Message, Result


def suppression(account: str, message: Message, provider: str, result: Result) -> Suppress:
    """Suppress whom a message could not reach, in every schedule of the account."""
    address, number = (
        (message.recipient, None) if message.channel is Channel.EMAIL else (None, message.recipient)
    )
    return Suppress(
        id=f"bounce-{uuid4()}",
        account=account,
        kind=Kind.SUPPRESS,
        address=address,
        number=number,
        source=provider,
        reason=result.detail,
    )
