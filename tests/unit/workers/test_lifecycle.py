"""The lifecycle worker, one command at a time."""

from harness import Layby


def test_move_cancels_what_is_pending_and_is_quiet_at_once(layby: Layby) -> None:
    layby.set_up()
    layby.on_schedule("ann", "bob")
    outcome = layby.send("move_to_directory", customers=["ann"])
    assert (outcome.state, outcome.cancelled, outcome.started) == ("applied", 1, 0)
    assert outcome.quiet_at is not None
    layby.deliver()
    assert layby.ledger("ann") == [(0, "cancelled", "moved")]
    assert layby.ledger("bob") == [(0, "sent", "accepted")]
