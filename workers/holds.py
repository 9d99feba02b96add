"""Holding and releasing: a pause, what facts left on a slot, and the status that follows."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial

from domain.journey import Status
from domain.marks import status_of
from storage import customers, enrolments, holds, journal, marks
from storage.accounts import Account, read_account
from storage.database import Connection, Engine, transact
from storage.journal import Entry
from workers.planning import plan_of


def settle(connection: Connection, account: Account, slots: Sequence[int]) -> dict[str, int]:
    """Hold and release what hangs from slots as they stand now, and tell their status.

    What is released is planned anew for the moment it was due at; the gate decides what is too
    late. Returns {customer: pending sends taken out}.
    """
    if not slots:
        return {}
    changed = holds.settle(connection, account.account, slots)
    to_plan = enrolments.read_enrolments(connection, account.account, changed.released)
    enrolments.plan(
        connection, account.account, [plan_of(connection, account, one) for one in to_plan]
    )
    tell_status(connection, account.account, slots)
    return changed.taken


def tell_status(connection: Connection, account: str, slots: Iterable[int]) -> None:
    """Write the status that follows from the marks of each slot."""
    standing = marks.read(connection, account, slots)
    customers.set_statuses(connection, account, {slot: status_of(on) for slot, on in standing})


def note_steps(
    connection: Connection, account: str, begun: Iterable[tuple[int, str, Status]]
) -> None:
    """What steps that start say of the status: (slot, reference, on_track or late)."""
    said: dict[Status, list[tuple[int, str]]] = {}
    for slot, reference, status in begun:
        said.setdefault(status, []).append((slot, reference))
    changed: set[int] = set()
    for status, runs in said.items():
        note = marks.put_late if status is Status.LATE else marks.remove_late
        changed.update(note(connection, account, runs))
    if changed:
        tell_status(connection, account, sorted(changed))


def release_some(engine: Engine, account: str, limit: int) -> bool:
    """Release the next customers whose promises are broken; False: there are none."""
    with engine.connect() as connection:
        names = marks.customers_due(connection, account, limit)
    if not names:
        return False
    with suppress(customers.AppearedError):  # the same again
        transact(engine, partial(_release, account_id=account, names=names))
    return True


def _release(connection: Connection, account_id: str, names: list[str]) -> None:
    held = customers.lock(connection, account_id, names)
    # In later statements: who paid, or was moved, while we waited is seen to have.
    account = read_account(connection, account_id)
    assert account is not None, "it has customers"
    states = customers.read_states(connection, account_id, names)
    customers.check_held(states.values(), held)
    slots = sorted(held)
    broken = marks.break_promises(connection, account_id, slots, account.now)
    settle(connection, account, slots)
    entries = [
        Entry(
            one.customer,
            "promise_broken",
            {"reference": one.reference} if one.reference else {},
            None,
        )
        for one in broken
    ]
    journal.add(connection, account_id, entries, account.now)
