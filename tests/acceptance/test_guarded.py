"""What the tests start can't outlive them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from acceptance.stage import Stage
from patience import until

TESTS = Path(__file__).parents[1]

# What else starts processes of `layby`, until it is killed.
RUN = """
import json, sys
from pathlib import Path
from acceptance.guarded import Guarded
from warm import WarmLayby
start = {"forked": WarmLayby().start, "started anew": Guarded}[sys.argv[1]]
environ, folder = json.loads(sys.argv[2]), Path(sys.argv[3])
process = start(["layby", "lifecycle"], environ, folder / "out.log", folder)
print(process.pid, flush=True)
input()
"""


@pytest.mark.parametrize("how", ["forked", "started anew"])
def test_process_is_killed_when_the_tests_are(stage: Stage, how: str) -> None:
    paths = os.pathsep.join(map(str, (TESTS.parent, TESTS, TESTS / "acceptance")))
    with subprocess.Popen(
        [sys.executable, "-c", RUN, how, json.dumps(stage.environ), stage.folder],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        log = stage.folder / "out.log"
        until(lambda: '"started"' in log.read_text(), "it runs")
        assert runs(pid)
        run.kill()
    until(lambda: not runs(pid), "it is killed")


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
