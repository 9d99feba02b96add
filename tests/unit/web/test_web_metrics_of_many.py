"""A scrape comes every few seconds: it reads what is to be done now, and nothing that stands."""

from datetime import timedelta

from backlog import make_due
from harness import START, Layby
from plans import listen, nodes_of, rows_read
from web_door import Door

MANY = 1000

LEDGER = """
INSERT INTO sends (account, enrolment, step, customer, channel, state, rule, planned_at,
                   business_at, settled_at, token)
SELECT account, enrolment, settled.step, customer, 'email', state, '', moment, moment, moment,
       gen_random_uuid()
FROM enrolments, (VALUES (0, 'failed'), (1, 'unknown')) AS settled (step, state),
     (SELECT now() - interval '100 days' AS moment) AS past;

INSERT INTO commands (account, command, kind, digest, door, state, done_at)
SELECT account, customer, 'pause', '', 'test', 'applied', now() FROM customers;

ANALYZE;
"""


def test_scrape_reads_as_little_of_many_as_of_few(layby: Layby, door: Door) -> None:
    layby.set_up()
    make_due(layby.engine, "acme", MANY, at=START + timedelta(days=1))
    make_due(layby.engine, "acme", 10, prefix="due")
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(LEDGER)
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
