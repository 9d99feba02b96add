"""A schedule file: what it says is read as written, and each mistake is told with its line."""

import json
import re
from pathlib import Path

import pytest

from domain.schedule import Schedule
from ops.schedule_file import ScheduleFileError, read_schedule_file, read_schedules

DOCS = Path(__file__).parent.parent.parent.parent / "docs"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", (DOCS / "schedules.md").read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_documentation_is_a_schedule(example: str) -> None:
    (read,) = read_schedules(example, "schedules.md", "schedules")
    assert read.name in example


def test_the_documentation_names_every_field() -> None:
    text = (DOCS / "schedules.md").read_text("utf-8")
    schema = json.loads((DOCS / "schedule.schema.json").read_text("utf-8"))
    models = [schema, *(schema["$defs"][name] for name in ("Step", "Repeat", "Window", "Holidays"))]
    for model in models:
        for field in model["properties"]:
            assert f"`{field}`" in text, field


def test_yaml_and_json_of_one_schedule_are_one_definition(tmp_path: Path) -> None:
    """Words that YAML 1.1 takes for minutes, dates and booleans are what the writer means."""
    (tmp_path / "norway.yaml").write_text(
        "anchor: due_date\n"
        "steps:\n"
        "  - {offset: P1D, at: 10:30, channel: email, template: on}\n"
        "holidays: {country: NO, days: [2026-12-24]}\n"
    )
    written = {
        "schedule": "norway",
        "anchor": "due_date",
        "steps": [{"offset": "P1D", "at": "10:30", "channel": "email", "template": "on"}],
        "holidays": {"country": "NO", "days": ["2026-12-24"]},
    }
    (tmp_path / "other.json").write_text(json.dumps(written))
    first = read_schedule_file(tmp_path / "norway.yaml")
    assert first == read_schedule_file(tmp_path / "other.json")
    del written["schedule"]
    assert first[0].definition == Schedule.model_validate(written)


TWO_LINES = "anchor: assigned_at\nsteps:\n"
GOOD = "  - {offset: P1D, channel: sms, template: t}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "dunning.yaml is empty. A schedule begins with its anchor and steps."),
        ("- 1", "dunning.yaml, line 1: is not a schedule. One begins with a line such as anchor"),
        ("a: [", "dunning.yaml, line 1: is not YAML: "),
        ("a: \x00", "dunning.yaml has characters that no text has."),
        (TWO_LINES, "dunning.yaml, line 2: steps: is not a list"),
        (TWO_LINES + "  - 1\n", "dunning.yaml, line 3: steps[0]: is not a JSON object"),
        (
            TWO_LINES + GOOD + "  - offset: P2D\n    channel: fax\n    template: t\n",
            "dunning.yaml, line 5: steps[1].channel: is not 'email' or 'sms'",
        ),
        (
            TWO_LINES + GOOD + "  - offset: P2D\n    channel: sms\n",
            "dunning.yaml, line 4: steps[1].",
        ),
        (
            TWO_LINES + GOOD + "\nwindow:\n  from: 10\n",
            "dunning.yaml, line 6: window.from: is a number: write an hour in quotes, such as",
        ),
        (TWO_LINES + GOOD + "color: red\n", "dunning.yaml, line 4: color: is not a field here"),
        (TWO_LINES + GOOD + GOOD, "dunning.yaml, line 1: step 2 repeats step 1"),
        (TWO_LINES + GOOD + "anchor: due_date\n", "dunning.yaml, line 4: anchor is said twice."),
        ("a: &x [1]\nb: *x\n", "dunning.yaml, line 2: *x is an alias. Write out what it stands"),
        (
            f"{TWO_LINES}{GOOD}---\n{TWO_LINES}{GOOD}",
            "dunning.yaml has two schedules called dunning.",
        ),
        ("[" * 1200 + "]" * 1200, "dunning.yaml is nested too deeply to be a schedule."),
    ],
)
def test_each_mistake_is_told_with_its_line_and_field(text: str, says: str) -> None:
    with pytest.raises(ScheduleFileError) as refused:
        read_schedules(text, "dunning.yaml", "dunning")
    assert str(refused.value).startswith(says)
    assert "\n" not in str(refused.value), "one mistake is told once"


def test_file_that_is_no_text_or_not_there_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ScheduleFileError, match=r"none\.yaml can't be read: No such file"):
        read_schedule_file(tmp_path / "none.yaml")
    binary = tmp_path / "a.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScheduleFileError, match="is not UTF-8: save it as UTF-8"):
        read_schedule_file(binary)
    binary.write_bytes(b"#" * 1_000_001)
    with pytest.raises(ScheduleFileError, match="is longer than"):
        read_schedule_file(binary)
    named = tmp_path / "Été 1.yaml"
    named.write_text(TWO_LINES + GOOD)
    with pytest.raises(ScheduleFileError, match="names no schedule"):
        read_schedule_file(named)
