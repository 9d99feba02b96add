"""What an account's new zone changes: its customers' plans, a chunk at a time.

The zone holds from the commit of its `put_account`. An account may have a million customers, and
their commands, silence first of all, must not wait for this: so it is done between them, each chunk
under the one locking rule, and goes on where it was after a crash.
"""

from functools import partial

from storage import customers, enrolments, replans
from storage.accounts import read_account
from storage.database import Connection, Engine, transact
from workers.planning import plan_of


def replan_some(engine: Engine, account: str, limit: int) -> bool:
    """Plan the next customers of an account anew, if its zone has changed; False: nothing to do."""
    with engine.connect() as connection:
        if replans.next_to_replan(connection, account, 0) is None:
            return False
    try:
        return transact(engine, partial(_replan, account_id=account, limit=limit))
    except customers.AppearedError:
        return True  # the same again


def _replan(connection: Connection, account_id: str, limit: int) -> bool:
    chunk = replans.next_to_replan(connection, account_id, limit)
    if chunk is None:
        return False
    customers.lock(connection, account_id, chunk.customers)
    # In a later statement: whoever planned by the old zone has committed, and is seen.
    account = read_account(connection, account_id)
    assert account is not None, "its zone has changed"
    states = customers.read_states(connection, account_id, chunk.customers)
    slots = [state.slot for state in states.values() if state.slot is not None]
    waiting = enrolments.enrolments_not_retrying(connection, account_id, slots)
    enrolments.replan(
        connection, account_id, [plan_of(connection, account, one) for one in waiting]
    )
    last = chunk.customers[-1] if chunk.customers else None
    replans.replanned(connection, account_id, zone=account.zone, after=chunk.after, to=last)
    return True
