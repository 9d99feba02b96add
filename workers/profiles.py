"""Adding customers and changing their details."""

from domain.commands import AddCustomer, UpdateCustomer
from domain.customer import CustomerState
from domain.journey import Place
from storage import customers, enrolments
from workers.planning import plan_of
from workers.work import Work


def add(work: Work, seq: int, command: AddCustomer, here: list[CustomerState]) -> None:
    """New customers, as far as the plan has room."""
    active = command.place is Place.ACTIVE
    adding = [
        state
        for state in here
        if (work.room.take_active() if active else work.room.take_directory())
    ]
    for state in here[len(adding) :]:
        full = work.room.active_full if active else work.room.directory_full
        work.refused(seq, state, full(state.customer, "add"))
    names = [state.customer for state in adding]
    account = work.account
    customers.add(work.connection, account.account, names, Place.RESERVE, command.profile)
    if active:
        customers.give_slots(work.connection, account.account, names, account.now)
    for state in adding:
        work.applied(seq, state, "customer_added", place=command.place.value)


def update(work: Work, seq: int, command: UpdateCustomer, here: list[CustomerState]) -> None:
    """Change details; who changes zone gets what is pending at the same local time there."""
    account = work.account.account
    names = [state.customer for state in here]
    customers.update(work.connection, account, names, command.profile)
    if "zone" in command.profile.model_fields_set:
        slots = [state.slot for state in here if state.slot is not None]
        waiting = enrolments.enrolments_not_retrying(work.connection, account, slots)
        plans = [plan_of(work.connection, work.account, enrolment) for enrolment in waiting]
        enrolments.replan(work.connection, account, plans)
    for state in here:
        fields = sorted(command.profile.model_fields_set)
        work.applied(seq, state, "customer_updated", fields=fields)
