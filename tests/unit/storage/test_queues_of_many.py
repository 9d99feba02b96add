"""What waits is looked at in a hurry: that takes no longer for what stands for later."""

from datetime import timedelta

from backlog import make_due
from harness import START, Layby
from plans import listen, nodes_of, rows_read

from storage import reports
from storage.reports import Rows

MANY, MOST = 1000, 20


def queues(layby: Layby, most: int | None) -> Rows:
    with layby.engine.connect() as connection:
        return reports.queues(connection, None, most)


def test_what_is_due_is_counted_and_what_is_for_later_only_so_far(layby: Layby) -> None:
    layby.set_up()
    make_due(layby.engine, "acme", MANY, at=START + timedelta(days=1))
    make_due(layby.engine, "acme", 2 * MOST, prefix="due")
    (row,) = queues(layby, MOST)
    assert (row["due"], row["later"], row["more"]) == (2 * MOST, MOST, True)
    assert row["oldest_due"] < START
    (row,) = queues(layby, MANY)
    assert (row["later"], row["more"]) == (MANY, False)
    (row,) = queues(layby, None)
    assert (row["later"], row["more"]) == (MANY, False)


def test_queues_read_as_little_of_many_as_of_few(layby: Layby) -> None:
    layby.set_up()
    make_due(layby.engine, "acme", MANY, at=START + timedelta(days=1))
    make_due(layby.engine, "acme", MOST, prefix="due")
    said = listen(layby.engine)
    queues(layby, MOST)
    nodes = list(nodes_of(layby.engine, said))
    assert {"pending", "started", "commands"} <= {node.get("Relation Name") for node in nodes}
    for node in nodes:
        assert rows_read(node) <= 2 * (MOST + 1), node
