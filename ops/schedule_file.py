"""Schedules from YAML or JSON files, each mistake told with its line and its field.

YAML 1.1 reads `10:30` as a number of minutes, `NO` as false and `2026-12-24` as a date, which no
writer of a schedule means: here a plain word is null, true, false, a number, or itself (the core
schema of YAML 1.2). Aliases are refused: what a file says, it says where it stands.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from domain.mistakes import mistakes_in_words, own_mistakes
from domain.schedule import Schedule, ScheduleName

MOST_BYTES = 1_000_000
Loc = tuple[int | str, ...]


class ScheduleFileError(Exception):
    """The file can't be used; the message says each mistake with its line and what to do."""


class ScheduleFile(Schedule):
    """A schedule as a file says it: its name, and its definition."""

    schedule: ScheduleName | None = None
    """None: the file's own name, without its ending."""

    @property
    def definition(self) -> Schedule:
        """What `put_schedule` brings."""
        return Schedule.model_validate(self.model_dump(exclude={"schedule"}, exclude_unset=True))


@dataclass(frozen=True)
class NamedSchedule:
    name: str
    definition: Schedule


def read_schedule_file(path: Path) -> list[NamedSchedule]:
    """Every schedule of a file, parted by `---`; raises ScheduleFileError."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ScheduleFileError(f"{path} can't be read: {error.strerror}.") from None
    if len(raw) > MOST_BYTES:
        raise ScheduleFileError(f"{path} is longer than {MOST_BYTES:,} bytes: is it a schedule?")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ScheduleFileError(f"{path} is not UTF-8: save it as UTF-8.") from None
    return read_schedules(text, str(path), path.name.removesuffix(path.suffix).lower())


def read_schedules(text: str, path: str, name: str) -> list[NamedSchedule]:
    """The schedules of a text, called `path` in what is said of it, and `name` unless it says."""
    found = [_read(node, path, name) for node in _documents(text, path)]
    if not found:
        raise ScheduleFileError(f"{path} is empty. A schedule begins with its anchor and steps.")
    names = [one.name for one in found]
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        raise ScheduleFileError(
            f"{path} has two schedules called {twice}. Give each its own `schedule:`."
        )
    return found


def _read(node: Node, path: str, name: str) -> NamedSchedule:
    if not isinstance(node, MappingNode):
        raise ScheduleFileError(
            f"{path}, line {_at(node.start_mark)}: is not a schedule. One begins with a line such "
            "as anchor: due_date"
        )
    try:
        read = ScheduleFile.model_validate(_value(node, path))
    except ValidationError as error:
        mistakes = own_mistakes(error)
        said = [
            f"{path}, line {_line(node, mistake['loc'])}: {mistakes_in_words([mistake])}"
            for mistake in mistakes
        ]
        raise ScheduleFileError("\n".join(said)) from None
    if read.schedule is None and not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,99}", name):
        raise ScheduleFileError(
            f"{path} names no schedule, and the file's name can't be one. Add a line such as "
            "schedule: dunning"
        )
    return NamedSchedule(read.schedule or name, read.definition)


def _documents(text: str, path: str) -> Iterator[Node]:
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise ScheduleFileError(
                    f"{path}, line {_at(event.start_mark)}: *{event.anchor} is an alias. Write "
                    "out what it stands for."
                )
        yield from yaml.compose_all(text, Loader=yaml.SafeLoader)
    except RecursionError:
        raise ScheduleFileError(f"{path} is nested too deeply to be a schedule.") from None
    except yaml.MarkedYAMLError as error:
        line = _at(error.problem_mark)
        raise ScheduleFileError(f"{path}, line {line}: is not YAML: {error.problem}.") from None
    except yaml.YAMLError:
        raise ScheduleFileError(f"{path} has characters that no text has.") from None


def _at(mark: object) -> int:
    """The line of a mark, which libyaml and PyYAML each have a class of."""
    return int(getattr(mark, "line", 0)) + 1


def _value(node: Node, path: str) -> Any:
    """What a node says, by the core schema of YAML 1.2."""
    match node:
        case MappingNode():
            return _mapping(node, path)
        case SequenceNode():
            return [_value(item, path) for item in node.value]
        case ScalarNode(style=None):
            return _plain(str(node.value))
        case _:
            return node.value


def _mapping(node: MappingNode, path: str) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for key, value in node.value:
        if key.value in read:
            raise ScheduleFileError(
                f"{path}, line {key.start_mark.line + 1}: {key.value} is said twice. Leave one out."
            )
        read[str(key.value)] = _value(value, path)
    return read


def _plain(word: str) -> Any:
    if word in ("", "~", "null"):
        return None
    if word in ("true", "false"):
        return word == "true"
    if re.fullmatch(r"[-+]?\d{1,15}", word):
        return int(word)
    return float(word) if re.fullmatch(r"[-+]?\d{1,15}\.\d{1,15}", word) else word


def _line(node: Node, loc: Loc) -> int:
    """The line of a field, or of what it is missing from."""
    line = node.start_mark.line
    for part in loc:
        found = _part(node, part)
        if found is not None:  # else it is missing, or names a kind of thing
            line, node = found
    return int(line) + 1


def _part(node: Node, part: int | str) -> tuple[int, Node] | None:
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item.start_mark.line, item
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == part:
                return key.start_mark.line, value
    return None
