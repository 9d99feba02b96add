"""What statements read: their plans, as the process's own connections make them."""

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import event

from storage.database import Connection, Engine

Said = list[tuple[str, Any]]
"""Statements with their parameters; each is a round trip, and so are begin and commit."""

Node = dict[str, Any]

PASSED_OVER_BY = ("Filter", "Join Filter", "Index Recheck")


def listen(engine: Engine) -> Said:
    """Everything that is said from now on."""
    said: Said = []
    event.listen(engine, "before_cursor_execute", lambda *it: said.append((it[2], it[3])))
    return said


def nodes_of(engine: Engine, said: Said) -> Iterator[Node]:
    """Of each statement that was said, run once more in one transaction, and undone."""
    with engine.connect() as connection:
        for statement, values in said.copy():
            if statement.startswith("SET "):
                connection.exec_driver_sql(statement)
            else:
                yield from plan_of(connection, statement, values, analyze=True)


def plan_of(
    connection: Connection, statement: str, values: Any, *, analyze: bool = False
) -> Iterator[Node]:
    """The nodes of a plan."""
    options = "ANALYZE, FORMAT JSON" if analyze else "FORMAT JSON"
    plan = connection.exec_driver_sql(f"EXPLAIN ({options}) {statement}", values).scalar_one()
    found = json.loads(plan) if isinstance(plan, str) else plan
    yield from _below(found[0]["Plan"])


def _below(plan: Node) -> Iterator[Node]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _below(below)


def rows_read(node: Node) -> int:
    """How many rows a node has looked at, those included that it did not pass on."""
    passed_over: int = sum(node.get(f"Rows Removed by {by}", 0) for by in PASSED_OVER_BY)
    rows: int = (node["Actual Rows"] + passed_over) * node["Actual Loops"]
    return rows
