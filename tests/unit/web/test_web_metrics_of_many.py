"""A scrape comes every few seconds: it reads what is to be done now, and nothing that stands."""

from datetime import timedelta

from backlog import make_due, make_past
from harness import START, Layby
from plans import listen, nodes_of, rows_read
from web_door import Door

MANY = 1000


def test_scrape_reads_as_little_of_many_as_of_few(layby: Layby, door: Door) -> None:
    layby.set_up()
    make_due(layby.engine, "acme", MANY, at=START + timedelta(days=1))
    make_due(layby.engine, "acme", 10, prefix="due")
    make_past(layby.engine)
    said = listen(layby.engine)
    with door.client() as client:
        told = client.get("/metrics").text
    assert 'layby_sends_due{account="acme",channel="email"} 10.0' in told
    nodes = list(nodes_of(layby.engine, said))
    assert {"pending", "sends", "started", "commands"} <= {
        node.get("Relation Name", "").partition("_")[0] for node in nodes
    }
    for node in nodes:
        assert rows_read(node) < 50, node
