"""Waiting for commands, and no longer waiting for them."""

import signal
import subprocess
import sys

import pytest
from harness import KEY, Layby
from sqlalchemy import event

from config.settings import Settings
from ops.installation import Installation
from ops.screen import UserError
from ops.servers import Servers
from ops.waiting import wait_for
from workers.fence import Fence


def test_ctrl_c_says_that_what_was_accepted_is_applied_all_the_same(
    layby: Layby, servers: Servers
) -> None:
    layby.set_up()
    waiting = layby.accept("pause", customers=["ann"])
    fence = Fence(layby.engine, servers.redis_url)
    installation = Installation(Settings(), servers, layby.engine, KEY, fence)

    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    event.listen(layby.engine, "after_cursor_execute", interrupt)
    try:
        with pytest.raises(UserError, match="No longer waited for: what was accepted is applied"):
            wait_for(installation, [(layby.account, waiting)], "done", 60)
    finally:
        event.remove(layby.engine, "after_cursor_execute", interrupt)


def test_ctrl_c_while_layby_is_imported_ends_it_without_a_word() -> None:
    """A person who changes their mind at once has not asked for a traceback."""
    program = """
import signal, sys
class Interrupted:
    def find_spec(self, name, *_):
        if name == "ops.cli":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupted())
from ops.start import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")
