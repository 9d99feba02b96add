"""Schedules and templates: versions that never change, so they are read once and kept."""

from typing import NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from pydantic import BaseModel
from sqlalchemy import Connection, Engine, text

from domain.schedule import Schedule
from domain.template import Template
from storage.often import Often

M = TypeVar("M", bound=BaseModel)


class TemplateVersion(NamedTuple):
    account: str
    template: str
    version: int
    definition: Template


def put_schedule(connection: Connection, account: str, schedule: str, definition: Schedule) -> int:
    """Add the next version; the same definition again is the version that is there."""
    version = _put(connection, "schedule", account, schedule, definition)
    if definition.repeat is not None:
        _set_length(connection, account, schedule, version, definition.length)
    return version


def _set_length(
    connection: Connection, account: str, schedule: str, version: int, length: int
) -> None:
    connection.execute(
        text(
            "UPDATE schedule_versions SET length = :length "
            "WHERE account = :account AND schedule = :schedule AND version = :version"
        ),
        {"account": account, "schedule": schedule, "version": version, "length": length},
    )


def put_template(connection: Connection, account: str, template: str, definition: Template) -> int:
    """Add the next version; the same definition again is the version that is there."""
    return _put(connection, "template", account, template, definition)


def _put(connection: Connection, what: str, account: str, name: str, definition: BaseModel) -> int:
    version: int = connection.execute(
        text(
            f"""
            WITH newest AS (
                SELECT version, definition FROM {what}_versions
                WHERE account = :account AND {what} = :name ORDER BY version DESC LIMIT 1
            ), added AS (
                INSERT INTO {what}_versions (account, {what}, version, definition)
                SELECT :account, :name, coalesce((SELECT version FROM newest), 0) + 1,
                       CAST(:definition AS jsonb)
                WHERE NOT EXISTS
                    (SELECT 1 FROM newest WHERE definition = CAST(:definition AS jsonb))
                RETURNING version
            )
            SELECT version FROM added UNION ALL SELECT version FROM newest
            ORDER BY version DESC LIMIT 1
            """
        ),
        {"account": account, "name": name, "definition": definition.model_dump_json()},
    ).scalar_one()
    return version


def newest_schedule(connection: Connection, account: str, schedule: str) -> int | None:
    """The version that an assignment takes; None: no such schedule."""
    found: int | None = connection.execute(
        text(
            "SELECT max(version) FROM schedule_versions "
            "WHERE account = :account AND schedule = :schedule"
        ),
        {"account": account, "schedule": schedule},
    ).scalar_one()
    return found


def newest_templates(
    connection: Connection, account: str, templates: set[str]
) -> dict[str, TemplateVersion]:
    """The versions that sends started now take, by name; a missing one is left out."""
    names = {"account": account, "names": sorted(templates)}
    rows = _NEWEST_TEMPLATES.rows(connection, names)
    return {
        name: TemplateVersion(account, name, version, _template(connection, account, name, version))
        for name, version in rows
        if version is not None
    }


_NEWEST_TEMPLATES = Often(
    """
    SELECT name, (SELECT max(version) FROM template_versions v
                  WHERE v.account = :account AND v.template = name)
    FROM unnest(CAST(:names AS text[])) AS name
    """
)


def read_schedule(connection: Connection, account: str, schedule: str, version: int) -> Schedule:
    """One version of a schedule."""
    return _once(connection, Schedule, "schedule", account, schedule, version)


def _template(connection: Connection, account: str, template: str, version: int) -> Template:
    return _once(connection, Template, "template", account, template, version)


def _once(
    connection: Connection, model: type[M], what: str, account: str, name: str, version: int
) -> M:
    kept_here = _kept.setdefault(connection.engine, {})
    key = (what, account, name, version)
    kept = kept_here.get(key)
    if not isinstance(kept, model):
        kept = _alike(model.model_validate(_read(connection, what, account, name, version)))
        if len(kept_here) >= _KEPT_AT_MOST:
            kept_here.clear()
        kept_here[key] = kept
    return kept


_seen: dict[str, BaseModel] = {}


def _alike(model: M) -> M:
    """The same object for the same content: what is planned by it is remembered for all of them.

    Two that are equal, and not the same, are compared field by field at each look.
    """
    if len(_seen) >= _KEPT_AT_MOST:
        _seen.clear()
    content = f"{type(model).__name__} {model.model_dump_json()}"
    first = _seen.setdefault(content, model)
    assert isinstance(first, type(model)), "its name is in the content"
    return first


def _read(connection: Connection, what: str, account: str, name: str, version: int) -> object:
    definition: object = connection.execute(
        text(
            f"SELECT definition FROM {what}_versions "
            f"WHERE account = :account AND {what} = :name AND version = :version"
        ),
        {"account": account, "name": name, "version": version},
    ).scalar_one()
    return definition


_KEPT_AT_MOST = 10_000
_kept: WeakKeyDictionary[Engine, dict[tuple[str, str, str, int], BaseModel]] = WeakKeyDictionary()
