"""`kill -9` of the scheduler that ticks, while another one runs."""

import json
from functools import partial

from acceptance.stage import Stage, active, assign, set_up
from patience import until

BOTH = ("scheduler", "scheduler.2")
SENT = "SELECT count(*) FROM sends WHERE state = 'sent'"


def test_scheduler_goes_on_ringing_when_the_one_that_held_the_lease_is_killed(
    stage: Stage,
) -> None:
    """It stood by; nothing else rings for what is due, and the killed one does not come back."""
    commands = [*set_up(), *active("c-1", "c-2")]
    with stage.supervisor().start("lifecycle", "delivery", *BOTH) as supervisor:
        _apply(stage, *commands, assign("first", "c-1"))
        until(lambda: stage.one(SENT) == 1, "the scheduler rings")
        for kind in BOTH:
            until(partial(supervisor.runs, kind), f"{kind} runs")
        holder = _ticking(stage)
        ticking, standing_by = sorted(BOTH, key=lambda kind: supervisor.pid(kind) != holder)
        with supervisor.killed(ticking) as killed:
            assert _ticking(stage) == killed, "it gave nothing back"
            _apply(stage, assign("second", "c-2"))
            until(lambda: stage.one(SENT) == 2, "the other one rings")
            assert _ticking(stage) == supervisor.pid(standing_by)


def _apply(stage: Stage, *commands: dict[str, object]) -> None:
    sent = stage.layby("send", "-", "--wait", "done", typed="\n".join(map(json.dumps, commands)))
    assert sent.returncode == 0, sent.stderr


def _ticking(stage: Stage) -> int:
    """The number of the process that holds the lease of the rings."""
    holder: str = stage.one("SELECT holder FROM leases WHERE name = 'ring'")
    return int(holder.rpartition("/")[2])
