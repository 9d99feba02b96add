"""How a process ends: told, by itself, or because its time is over."""

import signal
import subprocess
import sys

PROCESS = """
import threading, structlog
from ops import stop

def fail():
    raise ValueError("it broke")

def endless():
    print("runs", flush=True)
    threading.Event().wait()

stop.STOP_WITHIN_SECONDS = 0.1
structlog.configure(logger_factory=structlog.PrintLoggerFactory())
with stop.stop_signal() as told:
    told.wait_beside({work})
"""


def test_process_that_does_not_finish_in_its_time_ends_and_says_so() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS.replace("{work}", "endless")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as output:
        assert any(line == "runs\n" for line in iter(output.readline, ""))
        process.send_signal(signal.SIGTERM)
        assert "not_finished" in output.read()
    assert process.wait(10) == 1


def test_work_that_breaks_ends_the_process_with_its_error() -> None:
    """Nobody has to tell it: a supervisor starts it again."""
    process = subprocess.run(
        [sys.executable, "-c", PROCESS.replace("{work}", "fail")],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert process.returncode == 1
    assert "ValueError: it broke" in process.stderr
