"""`layby tick`: an outside scheduler (cron, Airflow, Kubernetes) is enough."""

import json

from acceptance.stage import Stage, active, assign, set_up
from patience import until


def test_outside_tick_delivers_what_is_due_where_no_scheduler_runs(stage: Stage) -> None:
    """The processes deliver nothing of their own accord; a tick rings for all that is due."""
    customers = [f"c-{n}" for n in range(50)]
    with stage.supervisor().start("intake", "lifecycle", "delivery"):
        stage.publish(*set_up(), *active(*customers), assign("a", *customers))
        until(lambda: stage.states("a") == ["applied"], "all are on the schedule")
        assert stage.one("SELECT count(*) FROM sends") == 0
        ticked = stage.layby("tick", "--json")
        assert ticked.returncode == 0, ticked.stderr
        assert json.loads(ticked.stdout)["rung"] == 1
        sent = "SELECT count(*) FROM sends WHERE state = 'sent'"
        until(lambda: stage.one(sent) == len(customers), "all is sent")
    mails = list((stage.folder / "outbox").glob("email/new/*"))
    assert len(mails) == len(customers)


def test_idle_tick_does_nothing_and_returns_at_once(stage: Stage) -> None:
    ticked = stage.layby("tick", "--json")
    assert json.loads(ticked.stdout) == {"rung": 0, "rescued": 0, "quiet": 0}
