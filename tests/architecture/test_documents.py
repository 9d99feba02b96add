"""What the documents say is what the code does."""

import re
from pathlib import Path

from benchmarks.document import documents as benchmark_documents
from domain.commands import adapter, read_command
from domain.journey import JOURNEY, Kind
from domain.send import MOVES
from ops.documents import documents, stale
from storage.outcomes import Outcome

ROOT = Path(__file__).parent.parent.parent
ARROW = re.compile(r"^ +(\[\*\]|\w+) --> (\[\*\]|\w+) : (.+)$", re.MULTILINE)


def test_generated_documents_are_current() -> None:
    assert stale(documents()) == []
    assert stale(benchmark_documents()) == []


def test_every_command_in_the_documents_can_be_read() -> None:
    """Each JSON example of docs/commands.md is a command or an outcome."""
    blocks = re.findall(
        r"```json\n(.*?)```", (ROOT / "docs/commands.md").read_text("utf-8"), re.DOTALL
    )
    commands = [block for block in blocks if '"kind"' in block]
    assert len(commands) == len(blocks) - 1, "all but the outcome"
    kinds = {read_command(block).kind for block in commands}
    assert set(Kind) - kinds == {Kind.PAUSE, Kind.PURGE, Kind.REACTIVATE}


def test_the_outcome_in_the_documents_has_the_fields_of_an_outcome() -> None:
    text = (ROOT / "docs/commands.md").read_text("utf-8")
    (shown,) = [
        block for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL) if "kind" not in block
    ]
    assert set(re.findall(r'"(\w+)":', shown)) <= set(Outcome.model_fields)


def test_the_drawn_places_are_the_journey() -> None:
    drawn = {
        (None if start == "[*]" else start, kind, None if end == "[*]" else end)
        for start, end, kind in _arrows(0)
    }
    assert drawn == {
        (place.value if place else None, kind.value, to.value if to else None)
        for (place, kind), to in JOURNEY.items()
    }


def test_the_drawn_sends_are_the_moves_a_send_can_make() -> None:
    drawn = {(start, end) for start, end, _ in _arrows(1) if start != "[*]"}
    assert drawn == {(start.value, end.value) for start, ends in MOVES.items() for end in ends}


def test_architecture_names_only_tests_that_exist() -> None:
    """Each guarantee's test is there, under the name that the page gives it."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert named
    for path, test in named:
        assert f"def {test}" in (ROOT / path).read_text("utf-8") if test else (ROOT / path).exists()


def test_schema_describes_every_kind() -> None:
    assert set(adapter().json_schema()["discriminator"]["mapping"]) == {kind.value for kind in Kind}


def _arrows(diagram: int) -> list[tuple[str, str, str]]:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    return ARROW.findall(re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)[diagram])
