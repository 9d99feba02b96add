"""`layby tick`: an outside scheduler (cron, Airflow, Kubernetes) is enough."""

import json

import redis
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


def test_tick_that_could_not_ring_says_so_and_fails(
    stage: Stage, redis_client: redis.Redis
) -> None:
    """Redis has no room: whoever triggers it must know that nothing goes on."""
    account = '{"id": "p", "account": "acme", "kind": "put_account", "active_limit": 1}'
    assert stage.layby("send", "-", typed=account).returncode == 0
    redis_client.flushall()
    redis_client.config_set("maxmemory", "1")
    try:
        ticked = stage.layby("tick")
    finally:
        redis_client.config_set("maxmemory", "0")
    assert (ticked.returncode, ticked.stdout) == (1, "")
    assert "Redis took 0 of 1 rings: the rest waits for the next tick." in ticked.stderr
    assert "Rang for 1" in stage.layby("tick").stdout
