"""What processes and commands say and do when what they need is wrong, missing or goes away."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from acceptance.restartable import IMMEDIATE, RestartablePostgres
from acceptance.stage import Stage, active, assign, move, set_up
from acceptance.supervisor import PROCFILE, read_procfile
from databases import Databases
from patience import until
from warm import WarmLayby

from ops.servers import private_servers

KINDS = tuple(read_procfile(PROCFILE.read_text(encoding="utf-8")))
NOBODY_LISTENS = "127.0.0.1:1"


def assert_told(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Status 1 and one message that says what to do, after whatever was logged."""
    assert done.returncode == 1, done
    for word in words:
        assert word in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    told = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(told) == 1, done.stderr


def test_process_that_cannot_reach_the_database_says_so_and_ends(stage: Stage) -> None:
    url = f"postgresql://layby:hunter2@{NOBODY_LISTENS}/layby"
    with ThreadPoolExecutor(len(KINDS)) as pool:
        for done in pool.map(lambda kind: stage.layby(kind, database_url=url), KINDS):
            assert_told(done, "Cannot reach PostgreSQL at", NOBODY_LISTENS, "LAYBY_DATABASE_URL")
            assert "hunter2" not in done.stderr


def test_migration_of_a_database_that_is_not_there_says_so(stage: Stage) -> None:
    done = stage.layby("migrate", database_url=f"postgresql://layby@{NOBODY_LISTENS}/layby")
    assert_told(done, f"Cannot reach PostgreSQL at postgresql://layby@{NOBODY_LISTENS}/layby:")


def test_process_that_cannot_reach_redis_says_so_and_ends(stage: Stage) -> None:
    done = stage.layby("intake", redis_url=f"redis://:hunter2@{NOBODY_LISTENS}/0")
    assert_told(
        done, "Cannot reach Redis at", NOBODY_LISTENS, "refused. Start it", "LAYBY_REDIS_URL"
    )
    assert "hunter2" not in done.stderr


def test_misspelt_setting_is_named_with_the_one_that_was_meant(stage: Stage) -> None:
    done = stage.layby("delivery", databse_url="postgresql://x/y")
    assert_told(done, "LAYBY_DATABSE_URL is no setting", "Did you mean LAYBY_DATABASE_URL?")


def test_every_wrong_setting_is_named_at_once(stage: Stage) -> None:
    done = stage.layby("delivery", database_url="mysql://x/y", redis_url="http://x", secret_key="x")
    assert done.returncode == 1
    told = done.stderr.strip().splitlines()
    assert len(told) == 3
    for name in ("LAYBY_DATABASE_URL", "LAYBY_REDIS_URL", "LAYBY_SECRET_KEY"):
        assert any(line.startswith(name) for line in told), told


def test_channel_that_does_not_exist_is_named_with_those_that_do(stage: Stage) -> None:
    done = stage.layby("delivery", email_url="pigeon://roof")
    assert_told(done, "LAYBY_EMAIL_URL", "smtp")


def test_database_that_nobody_migrated_is_told_from_one_that_is_away(
    stage: Stage, databases: Databases
) -> None:
    with databases.copy() as empty:
        assert_told(stage.layby("scheduler", database_url=empty.url), "layby migrate")


def test_process_with_another_secret_key_refuses_to_start(stage: Stage) -> None:
    """Else recipients would be hashed to names that nobody recognises."""
    assert stage.layby("queues").returncode == 0
    assert_told(stage.layby("delivery", secret_key="f" * 32), "LAYBY_SECRET_KEY")
    assert_told(stage.layby("lifecycle", secret_key=None), "LAYBY_SECRET_KEY must be set")


def test_home_that_cannot_be_written_is_named(stage: Stage, tmp_path: Path) -> None:
    """A file in the way stands for any reason: it holds for root as well."""
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    done = stage.layby(
        "scheduler", home=str(in_the_way / "home"), database_url=None, redis_url=None
    )
    assert_told(done, str(in_the_way / "home"), "LAYBY_HOME")


def test_reminders_wait_while_the_outbox_cannot_be_written(stage: Stage, tmp_path: Path) -> None:
    """A definite no for now: nothing is lost, and each goes out once it can."""
    outbox = tmp_path / "mount" / "outbox"
    outbox.parent.touch()
    assert _checked(stage, "email", email_url=f"file://{outbox}") == ["broken"]
    stage.environ["LAYBY_EMAIL_URL"] = f"file://{outbox}"
    with stage.supervisor().start():
        stage.publish(*set_up(), *active("c-1"), assign("a", "c-1"))
        until(lambda: stage.rows("SELECT 1 FROM pending WHERE attempts = 1"), "it was tried")
        outbox.parent.unlink()
        assert _checked(stage, "email") == ["ok"]
        # What the wait for the next attempt would bring about.
        stage.rows("UPDATE pending SET due_at = now() RETURNING 1")
        until(lambda: stage.rows("SELECT 1 FROM sends WHERE state = 'sent'"), "it is sent")
    assert len(list(outbox.glob("email/new/*"))) == 1


def _checked(stage: Stage, what: str, **settings: str | None) -> list[str]:
    """What `layby check` finds of one thing: the servers of tests themselves are not durable."""
    rows = json.loads(stage.layby("check", "--json", **settings).stdout)
    return [row["result"] for row in rows if row["what"] == what]


def test_servers_that_go_away_for_a_while_are_waited_for(
    home: Path, source: str, tmp_path: Path, warm: WarmLayby
) -> None:
    """No process ends, none needs a restart, and what comes afterwards is done.

    Their logs say so in a few lines, and nothing else: it is nobody's mistake.
    """
    with RestartablePostgres(home, source) as postgres, ExitStack() as redis:
        servers = redis.enter_context(
            private_servers(home, source=source, database_url=postgres.url)
        )
        stage = Stage(servers.database_url, servers.redis_url, tmp_path, warm)
        assert stage.layby("migrate").returncode == 0
        with stage.supervisor().start() as supervisor:
            stage.publish(*set_up(), *active("c-1", "c-2"), assign("a", "c-1", "c-2"))
            until(lambda: _sent(stage) == 2, "both are sent")
            redis.close()
            postgres.end(IMMEDIATE)
            until(lambda: "database_away" in supervisor.log("scheduler"), "PostgreSQL is missed")
            postgres.begin()
            redis.enter_context(private_servers(home, source=source, database_url=postgres.url))
            stage.publish(*active("c-3"), assign("b", "c-3"), move("m", "c-1"))
            until(lambda: stage.states("m", "b") == ["applied"] * 2, "all is applied", 40)
            until(lambda: _sent(stage) == 3, "the new one is sent", 40)
            until(lambda: "database_back" in supervisor.log("scheduler"), "it is told")
            assert supervisor.endings == []
            logs = {kind: supervisor.log(kind) for kind in supervisor.kinds}
    assert logs["scheduler"].count("database_away") == logs["scheduler"].count("database_back")
    for kind, log in logs.items():
        assert all(f'"{level}"' not in log for level in ("error", "critical")), (kind, log)
        assert log.count("\n") < 20, (kind, log)


def _sent(stage: Stage) -> int:
    return int(stage.one("SELECT count(*) FROM sends WHERE state = 'sent'"))
