"""The whole harness, in its small size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import NAMES

ROOT = Path(__file__).parents[3]


@pytest.mark.soak
def test_every_figure_is_measured_in_the_small_size(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    results = json.loads(out.read_text("utf-8"))
    assert set(results) == {"machine", *NAMES}
    assert all(results[name]["value"] > 0 for name in NAMES if name != "memory")


def test_figure_that_there_is_not_is_refused_before_anything_runs() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "pipelin"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 2
    assert "There is no figure pipelin." in ran.stderr
