"""Adding customers and changing their details."""

from itertools import islice

from domain.commands import AddCustomer, ImportCustomers, UpdateCustomer
from domain.customer import CustomerState
from domain.import_rows import at_row, read_row
from domain.journey import Place, not_all
from domain.profile import Profile
from domain.refusal import Refusal
from storage import customers, enrolments
from storage.customers import Added
from storage.waiting import Target
from workers.planning import plan_of
from workers.whereabouts import derive_zones
from workers.work import Work


def add(work: Work, seq: int, command: AddCustomer, here: list[CustomerState]) -> None:
    """New customers, as far as the plan has room."""
    active = command.place is Place.ACTIVE
    take = work.room.take_active_for if active else work.room.take_directory_for
    adding = here[: take(len(here), whole=command.all_or_none)]
    for state in here[len(adding) :]:
        full = work.room.active_full if active else work.room.directory_full
        work.refused(seq, state, full(state.customer, "add"))
    names = [state.customer for state in adding]
    account = work.account
    added = [Added(name, command.profile) for name in names]
    customers.add(work.connection, account.account, added, account.now)
    if active:
        customers.give_slots(work.connection, account.account, names, account.now)
    for state in adding:
        work.applied(seq, state, "customer_added", place=command.place.value)


def import_rows(
    work: Work,
    seq: int,
    command: ImportCustomers,
    here: list[CustomerState],
    targets: list[Target],
) -> None:
    """Rows into reserve, each with its own details, as far as the directory has room."""
    rows = {target.customer: target.payload or {} for target in targets}
    read = {state.customer: read_row(rows[state.customer]) for state in here}
    good = {name: profile for name, profile in read.items() if isinstance(profile, Profile)}
    no = {name: refusal for name, refusal in read.items() if isinstance(refusal, Refusal)}
    wanted = {} if command.all_or_none and no else good
    room = work.room.take_directory_for(len(wanted), whole=command.all_or_none)
    adding = dict(islice(wanted.items(), room))
    for name in good.keys() - adding.keys():
        full = work.room.directory_full(name, "import")
        no[name] = at_row(
            rows[name]["row"], full if wanted else not_all(command.kind, name, len(no))
        )
    added = [Added(name, profile) for name, profile in adding.items()]
    customers.add(work.connection, work.account.account, added, work.account.now)
    for state in here:
        if state.customer in adding:
            work.applied(seq, state, "customer_added", place=Place.RESERVE.value)
        else:
            work.refused(seq, state, no[state.customer])


def update(work: Work, seq: int, command: UpdateCustomer, here: list[CustomerState]) -> None:
    """Change details; whose clock that changes gets what is pending at the same local time there.

    A zone changes it, and for who has named none a number or country in another one.
    """
    account = work.account.account
    names = [state.customer for state in here]
    customers.update(work.connection, account, names, command.profile)
    given = command.profile.model_fields_set
    moved = set(names) if "zone" in given else set()
    if given & {"phone", "country"}:
        moved |= derive_zones(work.connection, account, names)
    if moved:
        slots = [state.slot for state in here if state.slot is not None and state.customer in moved]
        waiting = enrolments.enrolments_not_retrying(work.connection, account, slots)
        plans = [plan_of(work.connection, work.account, enrolment) for enrolment in waiting]
        enrolments.replan(work.connection, account, plans)
    for state in here:
        work.applied(seq, state, "customer_updated", fields=sorted(given))
