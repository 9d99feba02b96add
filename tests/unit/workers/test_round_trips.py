"""How often a move asks the database: each statement is a round trip; so are begin and commit."""

from harness import Layby
from sqlalchemy import event

from workers.lifecycle import apply_to

BEGIN_AND_COMMIT = 2


def test_move_takes_six_round_trips_at_most(layby: Layby) -> None:
    """Lock, read, archive, finish; however many sends are pending."""
    layby.set_up()
    layby.on_schedule("ann")
    for number in range(9):
        reference = f"invoice-{number}"
        layby.must("assign_schedule", customers=["ann"], schedule="dunning", reference=reference)
    move = layby.accept("move_to_directory", customers=["ann"])
    said: list[str] = []
    event.listen(layby.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    apply_to(layby.engine, layby.account, ["ann"])
    assert len(said) + BEGIN_AND_COMMIT <= 6, said
    assert layby.outcome(move).cancelled == 10
