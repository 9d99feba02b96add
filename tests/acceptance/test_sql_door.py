"""`SELECT layby_submit(jsonb)` with the Procfile's own processes."""

import json
from functools import partial
from typing import Any

import psycopg
import redis
from acceptance.stage import Stage, active, move, set_up
from patience import until


def submit(stage: Stage, *commands: dict[str, Any]) -> None:
    with psycopg.connect(stage.database_url) as connection:
        for command in commands:
            connection.execute("SELECT layby_submit(%s)", [json.dumps(command)])


def test_taker_killed_before_it_commits_leaves_its_submissions_to_the_next(stage: Stage) -> None:
    """Out of the table and into the inbox in one transaction: nothing lost, nothing twice."""
    with stage.supervisor().start("intake", "lifecycle") as supervisor:
        submit(stage, *set_up(), *active("c-1"))
        until(lambda: stage.states("add-c-1") == ["applied"], "the customer is there")
        with stage.locked("commands", "EXCLUSIVE"):
            submit(stage, move("held", "c-1"))
            until(lambda: _half_taken_in(stage), "the submission is taken out")
            with supervisor.killed("intake"):
                pass
        until(lambda: stage.states("held") == ["applied"], "the next taker took it in")
    assert stage.one("SELECT count(*) FROM submissions") == 0
    assert stage.one("SELECT count(*) FROM commands WHERE command LIKE 'held%%'") == 1


def _half_taken_in(stage: Stage) -> bool:
    return bool(
        stage.one(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock' AND query LIKE '%%INSERT INTO commands%%'"
        )
    )


def test_redis_that_takes_no_write_keeps_no_submission_waiting(
    stage: Stage, redis_client: redis.Redis
) -> None:
    """It is accepted; the bell that was not rung, a tick rings once Redis takes one again."""
    with stage.supervisor().start("intake", "lifecycle", "scheduler"):
        submit(stage, *set_up(), *active("c-1"))
        until(lambda: stage.states("add-c-1") == ["applied"], "the customer is there")
        redis_client.client_pause(60_000, all=False)
        for name in ("first", "second"):
            submit(stage, move(name, "c-1"))
            until(partial(stage.all_are, "accepted", name), "it is accepted")
        redis_client.client_unpause()
        until(lambda: stage.states("second") == ["applied"], "it is applied")
