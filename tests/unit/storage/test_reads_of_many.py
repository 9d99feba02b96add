"""What an operator asks for is read as far as it concerns it, however much there was or is."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from backlog import another_account, make_due, make_past
from harness import START, Layby
from plans import listen, nodes_of, rows_read

from domain.switch import Scope, Switch
from storage import outcomes, reports, switches
from storage.database import Connection

SHOWN = 10
EMAIL = Switch(Scope.CHANNEL, "email")

READS: dict[str, Callable[[Connection], object]] = {
    "failed": lambda c: reports.unresolved(c, "failed", None, SHOWN),
    "failed of an account": lambda c: reports.unresolved(c, "failed", "acme", SHOWN),
    "unknown": lambda c: reports.unresolved(c, "unknown", None, SHOWN),
    "unknown of an account": lambda c: reports.unresolved(c, "unknown", "acme", SHOWN),
    "commands": lambda c: outcomes.list_outcomes(c, None, None, SHOWN),
    "commands of an account": lambda c: outcomes.list_outcomes(c, "acme", None, SHOWN),
    "a command": lambda c: outcomes.find_outcomes(c, "old b-7", None),
    "a later page of customers": lambda c: reports.customers(
        c, None, None, SHOWN, after=("acme", "b-500")
    ),
    "accounts that a resume concerns": lambda c: switches.accounts_concerned(c, EMAIL),
    "what a resume spreads": lambda c: switches.overdue(
        c, "acme", EMAIL, START, deferred_only=False
    ),
}


@pytest.fixture
def many(layby: Layby) -> Layby:
    layby.set_up()
    another_account(layby, "zeta")
    for account in ("acme", "zeta"):
        make_due(layby.engine, account, 1000, at=START + timedelta(days=1))
    make_due(layby.engine, "acme", SHOWN, prefix="due")
    make_past(layby.engine)
    return layby


def test_what_is_not_shown_is_not_read(many: Layby) -> None:
    for name, read in READS.items():
        said = listen(many.engine)
        with many.engine.connect() as connection:
            assert read(connection), name
        for node in nodes_of(many.engine, said):
            assert rows_read(node) < 5 * SHOWN, (name, node)
