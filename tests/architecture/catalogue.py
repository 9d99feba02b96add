"""A database's catalogue, and what a migration took from those who know the one before."""

import re
from typing import NamedTuple

from sqlalchemy import Connection, text

_OURS = "c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version'"
_LITERAL = re.compile(r"'((?:[^']|'')*)'")


class Column(NamedTuple):
    type: str
    required: bool
    filled: bool
    """With a default, an identity or an expression: whoever does not name it can insert."""
    made: str
    """How an identity or a generated column is made."""


class Constraint(NamedTuple):
    type: str
    definition: str
    columns: frozenset[str]


class Catalogue(NamedTuple):
    tables: dict[str, str]
    columns: dict[tuple[str, str], Column]
    constraints: dict[tuple[str, str], Constraint]
    indexes: dict[tuple[str, str], tuple[str, bool]]
    """Definition, and whether it is unique."""


def read_catalogue(connection: Connection) -> Catalogue:
    return Catalogue(
        {row.relname: row.relkind for row in connection.execute(text(_TABLES))},
        {
            (row.relname, row.attname): Column(row.type, row.required, row.filled, row.made)
            for row in connection.execute(text(_COLUMNS))
        },
        {
            (row.relname, row.conname): Constraint(
                row.contype, row.definition, frozenset(row.columns)
            )
            for row in connection.execute(text(_CONSTRAINTS))
        },
        {
            (row.table, row[1]): (row.definition, row.is_unique)
            for row in connection.execute(text(_INDEXES))
        },
    )


_TABLES = f"SELECT relname, relkind::text FROM pg_class c WHERE relkind IN ('r', 'p') AND {_OURS}"
_COLUMNS = f"""
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type,
           a.attnotnull AS required, a.atthasdef OR a.attidentity <> '' AS filled,
           a.attidentity::text || a.attgenerated::text AS made
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND {_OURS}
"""
_CONSTRAINTS = f"""
    SELECT c.relname, k.conname, k.contype::text, pg_get_constraintdef(k.oid) AS definition,
           ARRAY(SELECT attname::text FROM pg_attribute a
                 WHERE a.attrelid = k.conrelid AND a.attnum = ANY(k.conkey)) AS columns
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE {_OURS}
"""
_INDEXES = f"""
    SELECT c.relname AS table, i.relname AS index, pg_get_indexdef(i.oid) AS definition,
           x.indisunique AS is_unique
    FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
    WHERE {_OURS}
"""


def narrowed(before: Catalogue, after: Catalogue) -> list[str]:
    """Say what the previous version would miss, or could not write any more."""
    return [
        *(f"table {name} is gone" for name in before.tables.keys() - after.tables.keys()),
        *_columns(before, after),
        *_constraints(before, after),
        *_indexes(before, after),
    ]


_ALSO_MADE = {"a": "d"}
"""An identity that is always made, and one that is made unless it is given."""


def _columns(before: Catalogue, after: Catalogue) -> list[str]:
    found = []
    for name, old in before.columns.items():
        new = after.columns.get(name)
        if new is None:
            found.append(f"column {name} is gone")
        elif new.type != old.type or new.made not in (old.made, _ALSO_MADE.get(old.made)):
            found.append(f"column {name} is {new}, was {old}")
        elif (new.required and not old.required) or (old.filled and not new.filled):
            found.append(f"column {name} must be given now")
    for name, new in after.columns.items():
        added = name not in before.columns and name[0] in before.tables
        if added and new.required and not new.filled:
            found.append(f"new column {name} must be given")
    return found


def _constraints(before: Catalogue, after: Catalogue) -> list[str]:
    found = []
    for name, old in before.constraints.items():
        new = after.constraints.get(name)
        if new is None or (new != old and not _only_longer_list(old, new)):
            found.append(f"constraint {name} is {new}, was {old}")
    for name, new in after.constraints.items():
        if name not in before.constraints and name[0] in before.tables:
            spare = [column for column in new.columns if _is_left_null(before, after, name, column)]
            if not any(_passes_on_null(new, column) for column in spare):
                found.append(f"new constraint {name}: {new.definition}")
    return found


def _only_longer_list(old: Constraint, new: Constraint) -> bool:
    """Whether a CHECK differs by allowing more of the values that it lists."""
    frames = {
        _LITERAL.sub("''", re.sub(r", '[^']*'::text", "", one.definition)) for one in (old, new)
    }
    values = [set(_LITERAL.findall(one.definition)) for one in (old, new)]
    return old.type == new.type == "c" and len(frames) == 1 and values[0] <= values[1]


def _is_left_null(
    before: Catalogue, after: Catalogue, constraint: tuple[str, str], column: str
) -> bool:
    """Whether it is a new column that whoever does not know it leaves null."""
    name = (constraint[0], column)
    return name not in before.columns and not after.columns[name].filled


def _passes_on_null(constraint: Constraint, column: str) -> bool:
    """Keys pass what is null in part; a CHECK has to say so."""
    return constraint.type in "uf" or f"({column} IS NULL) OR" in constraint.definition


def _indexes(before: Catalogue, after: Catalogue) -> list[str]:
    found = [
        f"index {name} is {after.indexes.get(name)}, was {old}"
        for name, old in before.indexes.items()
        # One that is not unique may go: what was written by it is found more slowly, and found.
        if after.indexes.get(name) != old and (name in after.indexes or old[1])
    ]
    for (table, index), (definition, is_unique) in after.indexes.items():
        is_new = (table, index) not in before.indexes and table in before.tables
        # That of a constraint is judged with it.
        if is_new and is_unique and (table, index) not in after.constraints:
            found.append(f"new unique index {index}: {definition}")
    return found
