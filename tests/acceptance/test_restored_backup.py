"""A real backup restored on a real server, and a real failover: judged by what the outbox got.

The rules of fencing have tests in tests/concurrency/test_restored.py.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from acceptance.restartable import FAST, IMMEDIATE, RestartablePostgres
from acceptance.stage import Stage
from harness import Layby
from warm import WarmLayby

from ops.servers import private_servers
from storage.database import Engine, connect
from storage.migrate import migrate
from workers.fence import EXCHANGED, Fence

# Two steps that are due at once, and one that is not.
SCHEDULE: dict[str, Any] = {
    "anchor": "assigned_at",
    "steps": [
        {"offset": "-PT2H", "channel": "email", "template": "hello"},
        {"offset": "-PT1H", "channel": "email", "template": "hello"},
        {"offset": "P1D", "channel": "email", "template": "hello"},
    ],
}


@pytest.fixture
def postgres(home: Path, source: str) -> Iterator[RestartablePostgres]:
    with RestartablePostgres(home, source) as postgres:
        yield postgres


@contextmanager
def live_account(engine: Engine, folder: Path) -> Iterator[Layby]:
    """Ann and Bob, each with two sends due now and one tomorrow."""
    with Layby(engine, folder / "outbox") as layby:
        layby.delivery.desks = layby.delivery.test_desks
        layby.set_up(schedule=SCHEDULE)
        layby.must("put_account", rules={"apart": False})
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE accounts SET test_now = NULL")
        layby.on_schedule("ann", "bob")
        yield layby


def copy_files(postgres: RestartablePostgres, backup: Path) -> None:
    postgres.end(FAST)
    subprocess.run(["cp", "-a", postgres.data, backup], check=True)
    postgres.begin()


def restore_files(postgres: RestartablePostgres, backup: Path) -> None:
    """As after the loss of a disk: the server crashes, and the backup takes its place."""
    postgres.end(IMMEDIATE)
    subprocess.run(["rm", "-rf", postgres.data], check=True)
    subprocess.run(["cp", "-a", backup, postgres.data], check=True)
    postgres.begin()


def fail_over(postgres: RestartablePostgres, engine: Engine) -> None:
    """The same data as a standby, which then takes over."""
    postgres.end(FAST)
    (postgres.data / "standby.signal").touch()
    postgres.begin()
    engine.dispose()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT layby_server()").scalar_one() == "in recovery"
        connection.exec_driver_sql("SELECT pg_promote()")


@pytest.mark.soak
def test_restored_files_and_a_failover_are_noticed_and_nothing_is_sent_twice(
    postgres: RestartablePostgres, home: Path, source: str, tmp_path: Path, warm: WarmLayby
) -> None:
    with private_servers(home, source=source, database_url=postgres.url) as servers:
        stage = Stage(servers.database_url, servers.redis_url, tmp_path, warm)
        engine = connect(postgres.url)
        migrate(engine)
        process = Fence(engine, servers.redis_url)
        with live_account(engine, tmp_path) as layby:
            process.beat()
            engine.dispose()
            copy_files(postgres, home / "backup")
            layby.deliver()
            assert len(layby.mails()) == 4
            process.beat()
            restore_files(postgres, home / "backup")
            engine.dispose()
            judge_restored(stage, layby, process)

            fail_over(postgres, engine)
            assert process.look() == EXCHANGED
            kept = stage.layby("restore-fence", "--nothing-lost")
            assert kept.returncode == 0, kept.stderr
            assert process.look() is None
            assert stage.layby("audit").returncode == 0
        engine.dispose()


def judge_restored(stage: Stage, layby: Layby, process: Fence) -> None:
    """Held, for those that ran all along and for those that start; then fenced."""
    assert stage.one("SELECT count(*) FROM sends") == 0, "all of it is forgotten"
    assert layby.one("SELECT layby_may_send(:seen)", seen=process.seen) is False
    ticked = stage.layby("tick")
    assert ticked.returncode == 1
    assert "run: layby restore-fence" in ticked.stderr
    dry = stage.layby("restore-fence", "--dry-run", "--json")
    (found,) = json.loads(dry.stdout)
    assert (found["account"], found["started"], found["pending"]) == ("acme", 0, 2)
    assert stage.one("SELECT count(*) FROM pending") == 2
    fenced = stage.layby("restore-fence")
    assert fenced.returncode == 0, fenced.stderr
    layby.deliver()
    assert len(layby.mails()) == 4, "nothing was sent twice"
    assert (
        layby.ledger("ann")
        == layby.ledger("bob")
        == [(0, "unknown", "restored"), (1, "unknown", "restored")]
    )
    assert process.look() is None, "the process that ran all along goes on"
