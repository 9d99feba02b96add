"""What an account's new zone or holidays, and new data of either, change: plans, chunk by chunk.

A zone holds from the commit of its `put_account`. An account may have a million customers, and
their commands, silence first of all, must not wait for this: so it is done between them, each chunk
under the one locking rule, and goes on where it was after a crash.
"""

from functools import partial

from domain.zones import calendar_data, is_older
from storage import customers, enrolments, replans
from storage.accounts import read_account
from storage.database import Connection, Engine, transact
from workers.planning import plan_of
from workers.whereabouts import derive_zones


def replan_some(engine: Engine, account: str, limit: int) -> bool:
    """Plan the next customers of an account anew, if that is to be done; False: it is not."""
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
    assert account is not None, "it is to be planned anew"
    derive_zones(connection, account_id, chunk.customers)
    states = customers.read_states(connection, account_id, chunk.customers)
    slots = [state.slot for state in states.values() if state.slot is not None]
    waiting = enrolments.enrolments_not_retrying(connection, account_id, slots)
    enrolments.replan(
        connection, account_id, [plan_of(connection, account, one) for one in waiting]
    )
    last = chunk.customers[-1] if chunk.customers else None
    replans.replanned(connection, account, after=chunk.after, to=last)
    if last is None and is_older(chunk.calendar_data, calendar_data()):
        replans.planned_with(connection, account_id, calendar_data())
    return True


def plan_by_newer_data(engine: Engine) -> int:
    """Have all planned anew that was planned with older zones or holidays; returns the accounts.

    Asked when a scheduler starts, hourly, and at every `layby tick`: the data comes with an
    upgrade. What it was is kept until all is planned anew: if a process of the version before has
    done that, it is done again.
    """
    with engine.begin() as connection:
        in_use = replans.calendar_data_in_use(connection)
        older = [made_with for made_with in in_use if is_older(made_with, calendar_data())]
        return replans.plan_anew(connection, older) if older else 0
