"""Commands from a file or a pipe, read as often as that takes, and one at a time."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Self

from domain.commands import MAX_BYTES, Command, UnreadableCommandError, read_command
from ops.screen import UserError


class CommandFile:
    """A file with one command, or one a line; `-` is standard input. Raises UserError."""

    def __init__(self, file: str) -> None:
        self._name = file
        try:
            self._content = _copy(sys.stdin.buffer) if file == "-" else _open(Path(file))
        except OSError as error:
            raise UserError(f"Cannot read {file}: {error.strerror}.") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._content.close()

    def check(self) -> None:
        """Read all of it, so that nothing is sent of a file that has a mistake."""
        if not sum(1 for _ in self):
            raise UserError(
                f"There is no command in {self._name}. Write one JSON object, or one a line."
            )

    def __iter__(self) -> Iterator[Command]:
        """All of them; what can't be read ends it. Each time anew."""
        self._content.seek(0)
        # Not split at the other line ends of Unicode, which may stand within a JSON text.
        text = TextIOWrapper(self._content, encoding="utf-8-sig")
        try:
            for number, line in self._lines(text):
                yield _read(number, line)
        except OSError as error:
            raise UserError(f"Cannot read {self._name}: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise UserError(f"Cannot read {self._name}: it is not in UTF-8.") from None
        finally:
            text.detach()

    def _lines(self, text: TextIOWrapper) -> Iterator[tuple[int, str]]:
        number, seen = 0, False
        while line := text.readline(MAX_BYTES + 1):
            number += 1
            if not line.strip():
                continue
            if not seen and not _is_json(line):
                # One on several lines, right or wrong: its first line alone is nothing.
                yield 1, self._whole(line, text)
                return
            seen = True
            if len(line) > MAX_BYTES:
                raise UserError(
                    f"Line {number} is longer than {MAX_BYTES:,} bytes, the limit of a command, "
                    "and nothing was sent. Send several commands."
                )
            yield number, line

    def _whole(self, begun: str, text: TextIOWrapper) -> str:
        whole = begun + text.read(MAX_BYTES + 1 - len(begun))
        if len(whole) > MAX_BYTES:
            raise UserError(
                f"{self._name} does not begin with a command on a line of its own, and is longer "
                f"than {MAX_BYTES:,} bytes, the limit of a command; nothing was sent. Write one "
                "JSON object a line."
            )
        return whole


def _open(path: Path) -> IO[bytes]:
    content = path.open("rb")
    if content.seekable():
        return content
    with content:
        return _copy(content)


def _copy(content: IO[bytes]) -> IO[bytes]:
    """What can be read only once, on disk."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - `CommandFile` closes it
    shutil.copyfileobj(content, copy)
    return copy


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    except RecursionError:
        pass  # the reader says what is wrong with it
    return True


def _read(number: int, line: str) -> Command:
    try:
        return read_command(line)
    except UnreadableCommandError as error:
        raise UserError(f"Line {number} is no command, and nothing was sent: {error}") from None
