"""Between active and the directory: a move, an activation, a reactivation."""

from domain.commands import Activate, IfFull, MoveToDirectory, Reactivate
from domain.customer import CustomerState
from domain.journey import Place
from storage import customers, silence
from storage.journal import Entry
from storage.silence import Moved
from storage.waiting import Target
from workers import schedules
from workers.work import Work


def move_to_directory(
    work: Work, command: MoveToDirectory, targets: list[Target], here: list[CustomerState]
) -> None:
    """Active to archived. From the commit on, nothing can start for these customers."""
    seq, order_at = targets[0].seq, targets[0].order_at
    active = [state for state in here if state.place is Place.ACTIVE]
    leaving = [state for state in active if work.room.take_directory()]
    moved = silence.archive(
        work.connection,
        work.account.account,
        [state.customer for state in leaving],
        [target.customer for target in targets],
        order_at=order_at,
        now=work.account.now,
    )
    left, staying = set(leaving), active[len(leaving) :]
    for state in here:
        if state in left:
            work.room.leave_active()
        elif state.place is Place.ACTIVE:
            continue
        event = "customer_moved" if state in left else "customer_already_archived"
        it = moved[state.customer]
        work.applied(seq, state, event, cancelled=it.cancelled, open=it.open)
    _directory_full(work, seq, command, staying, moved)


def _directory_full(
    work: Work,
    seq: int,
    command: MoveToDirectory,
    staying: list[CustomerState],
    moved: dict[str, Moved],
) -> None:
    if not staying:
        return
    if command.if_full is IfFull.REFUSE:
        for state in staying:
            work.refused(seq, state, work.room.directory_full(state.customer, "move"))
        return
    held = schedules.hold(work, staying)
    for state in staying:
        work.entries.append(
            Entry(state.customer, "customer_paused", {"because": "the directory is full"}, seq)
        )
        work.refused(
            seq,
            state,
            work.room.directory_full(
                state.customer, "move", " It is paused instead and hears nothing."
            ),
            cancelled=held.get(state.customer, 0),
            open=moved[state.customer].open,
        )


def activate(
    work: Work, seq: int, command: Activate | Reactivate, here: list[CustomerState]
) -> None:
    """Reserve or archived to active: a new slot, on track, on no schedule."""
    entering = here[: work.room.take_active_for(len(here), whole=command.all_or_none)]
    for state in here[len(entering) :]:
        work.refused(seq, state, work.room.active_full(state.customer, command.kind.value))
    customers.give_slots(
        work.connection,
        work.account.account,
        [state.customer for state in entering],
        work.account.now,
    )
    for state in entering:
        work.room.leave_directory()
        work.applied(seq, state, f"customer_{command.kind.value}d")
