"""What is said of an address, a number or a domain may concern many customers.

So it is recorded and committed first: from then on the gate forbids. Then customers who have it now
become targets, a chunk in each transaction, and are locked and silenced as if they were named; only
when that is done is the command applied.
"""

from domain.commands import CommandState, ConsentCommand, LiftingWord, SilencingWord
from domain.consent_words import superseded
from domain.refusal import Refusal
from domain.suppression import Aim
from storage import bulk, journal, suppressions, switches
from storage.accounts import Account
from storage.bulk import Chunk, Unresolved
from storage.database import Connection
from storage.journal import Entry
from storage.suppressions import Reach, Recorded, Target
from workers import consent

RECORDED = ""
"""How far a command is resolved that is recorded: before the first customer."""


def aim_some(
    connection: Connection, account: Account, it: Unresolved, command: ConsentCommand, limit: int
) -> Chunk | None:
    """Record it, or aim at the next customers who have it; None: it is refused, or paused."""
    assert command.recipient is not None, "the caller has looked"
    if it.to is not None:
        return bulk.aim_having(connection, account.account, it.seq, it.to, limit, command.recipient)
    if not switches.hold_bulk(connection):
        return None
    target = suppressions.target_of(connection, command.recipient)
    refusal = _say(connection, account, it, command, target)
    if refusal is not None:
        late = refusal.code == CommandState.SUPERSEDED
        state = CommandState.SUPERSEDED if late else CommandState.REFUSED
        bulk.finish(connection, account.account, it.seq, state, refusal.message)
        return None
    entry = Entry(None, consent.event(command), consent.said(command), it.seq)
    journal.add(connection, account.account, [entry], account.now)
    # Who has a domain that is unblocked may be blocked as a customer: that was said for itself.
    alone = isinstance(command, LiftingWord) and command.aim is Aim.DOMAIN
    return Chunk(RECORDED, 0 if alone else limit, 0)


def _say(
    connection: Connection,
    account: Account,
    it: Unresolved,
    command: ConsentCommand,
    target: Target,
) -> Refusal | None:
    """Record or lift what is said of the recipient itself."""
    if isinstance(command, SilencingWord):
        refusal = consent.no_such_schedule(connection, command)
        if refusal is not None:
            return refusal
        recorded = [Recorded(target, channel) for channel in command.channels]
        consent.record(connection, account, command, recorded, it.order_at)
        return None
    assert isinstance(command, LiftingWord), "it is one or the other"
    found = suppressions.find(connection, account.account, [Reach(RECORDED, (target,))])
    mine = [one for one in found.get(RECORDED, ()) if consent.lifts(command, one)]
    if consent.is_superseded(connection, command, it.seq, it.order_at, mine):
        return superseded(command, None)
    suppressions.lift(connection, account.account, mine)
    return None
