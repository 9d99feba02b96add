"""Commands from a file: one at a time, as often as they are asked for."""

import json
import os
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops import command_file
from ops.command_file import CommandFile
from ops.screen import UserError


def pause(name: str, **fields: object) -> dict[str, object]:
    return {"id": name, "account": "acme", "kind": "pause", "customers": ["ann"], **fields}


def ids(commands: CommandFile) -> list[str]:
    return [one.id for one in commands]


@contextmanager
def holding_at_most(count: float) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < count


def test_no_more_than_one_command_is_held(tmp_path: Path) -> None:
    """A file may be longer than the machine has memory."""
    file = tmp_path / "many.jsonl"
    file.write_text(
        "".join(f"{json.dumps(pause(str(n), reason='r' * 400))}\n" for n in range(4000))
    )
    with CommandFile(str(file)) as commands:
        next(iter(commands))  # the validator is made once
        with holding_at_most(file.stat().st_size / 4):
            commands.check()


def test_pipe_is_read_as_often_as_a_file(tmp_path: Path) -> None:
    """As a shell's `<(…)` gives it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    content = f"\ufeff{json.dumps(pause('1'))}\r\n\r\n{json.dumps(pause('2'))}".encode()
    writer = threading.Thread(target=fifo.write_bytes, args=(content,))
    writer.start()
    with CommandFile(str(fifo)) as commands:
        writer.join(20)
        assert ids(commands) == ids(commands) == ["1", "2"]


def test_one_command_may_stand_on_several_lines(tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    file.write_text("\n" + json.dumps(pause("1"), indent=2))
    with CommandFile(str(file)) as commands:
        assert ids(commands) == ["1"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            json.dumps(pause("1")) + "\n" + " " * 200 + "\n" + json.dumps(pause("2" * 2_000_000)),
            "Line 3",
        ),
        ("{\n" + '"reason":\n' * 200_000, "not begin with a command on a line of its own"),
        ("", "There is no command in"),
    ],
)
def test_what_is_longer_than_a_command_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, told: str
) -> None:
    monkeypatch.setattr(command_file, "MAX_BYTES", 200)
    file = tmp_path / "long.jsonl"
    file.write_text(content)
    with (
        CommandFile(str(file)) as commands,
        holding_at_most(500_000),
        pytest.raises(UserError, match=told),
    ):
        commands.check()
