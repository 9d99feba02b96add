"""A database that is killed under a command: each says so, is status 1, and may be run again."""

import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest
from acceptance.restartable import RestartablePostgres
from acceptance.stage import Stage, active, as_json, assign, command, set_up
from patience import until
from warm import WarmLayby

from ops.servers import private_servers

SCHEDULE = """
anchor: assigned_at
steps: [{offset: PT0S, channel: email, template: step-0}]
"""
NOTE = {"fact": "note", "text": "Called."}
SEND = as_json(command("lost", "record", customers=["c-1"], fact=NOTE)).decode()
HOLDS_ALL = ("restore-fence",)
COMMANDS = (
    ("send", "-"),
    ("import", "list.csv", "--account", "acme", "--no-wait"),
    ("command", "show", "account"),
    ("command", "list"),
    ("command", "replay", "account"),
    ("customers",),
    ("explain", "c-1"),
    ("forecast", "--account", "acme"),
    ("queues",),
    ("failed",),
    ("unknown", "list"),
    ("unknown", "resolve", "acme", "1", "sent"),
    ("schedule", "apply", "dunning.yaml", "--account", "acme"),
    ("schedule", "list", "--account", "acme"),
    ("schedule", "diff", "reminders", "--account", "acme"),
    ("schedule", "preview", "dunning.yaml", "--account", "acme"),
    ("travel", "acme", "--by", "P1D"),
    ("pause", "account", "acme"),
    ("resume", "account", "acme"),
    ("switches",),
    ("tick",),
    ("token", "create", "--account", "acme", "--role", "viewer"),
    ("token", "list"),
    ("token", "revoke", "abc"),
    ("restore-fence", "--dry-run"),
    HOLDS_ALL,
    ("audit",),
)
REFUSED = (
    ("command", "replay", "account"),
    ("unknown", "resolve", "acme", "1", "sent"),
    ("travel", "acme", "--by", "P1D"),
    ("token", "revoke", "abc"),
    ("tick",),
)
"""Also with a database: there is nothing to do it to, or the fence holds."""
LEFT = ("alembic_version", "installation", "upkeep", "fence")
"""Read by every command before it begins."""


@pytest.mark.soak
def test_command_whose_database_is_killed_says_so_and_may_be_run_again(
    home: Path, source: str, tmp_path: Path, warm: WarmLayby
) -> None:
    """Wherever it stands: at its start, before its first row, or in the middle of many."""
    with RestartablePostgres(home, source) as postgres, ExitStack() as stack:
        servers = stack.enter_context(
            private_servers(home, source=source, database_url=postgres.url)
        )
        stage = Stage(servers.database_url, servers.redis_url, tmp_path, warm)
        play(stage)
        tables = stage.rows(TABLES, list(LEFT))
        every = ", ".join(name for (name,) in tables)
        # What holds all sends before it waits would have `tick` refused before that does.
        others = [words for words in COMMANDS if words != HOLDS_ALL]
        kill_under(stage, postgres, f"LOCK TABLE {every} IN ACCESS EXCLUSIVE MODE", others)
        kill_under(stage, postgres, "LOCK TABLE alembic_version", (("check",), ("migrate",)))
        # It has begun to hold all sends, and waits for the first of what it writes off.
        kill_under(stage, postgres, "LOCK TABLE slots IN EXCLUSIVE MODE", (HOLDS_ALL,))
        assert "layby restore-fence" in stage.layby("tick").stderr
        with stage.supervisor().start("lifecycle", "bulk"):
            for words in COMMANDS:
                done = stage.layby(*words, typed=SEND)
                assert "Traceback" not in done.stderr
                assert done.returncode == (1 if words in REFUSED else 0), done
        assert stage.rows("SELECT state FROM sends") == [("unknown",)]
        ids = "SELECT count(*) FROM commands WHERE command = 'lost' OR command LIKE 'import-%%'"
        assert stage.one(ids) == 2


def play(stage: Stage) -> None:
    """A customer with a send due, and the files that commands read."""
    (stage.folder / "list.csv").write_text("id\nd-1\n")
    (stage.folder / "dunning.yaml").write_text(SCHEDULE)
    assert stage.layby("migrate").returncode == 0
    with stage.supervisor().start("intake", "lifecycle", "bulk"):
        stage.publish(*set_up(), *active("c-1"), assign("a", "c-1"))
        until(lambda: stage.states("a") == ["applied"], "one send is due")


def kill_under(
    stage: Stage, postgres: RestartablePostgres, lock: str, commands: Sequence[tuple[str, ...]]
) -> None:
    """Commands that all wait for this lock when their server is killed; then it is there again."""
    with (
        ThreadPoolExecutor(len(commands)) as pool,
        closing(psycopg.connect(stage.database_url)) as holder,
        closing(psycopg.connect(stage.database_url, autocommit=True)) as looks,
    ):
        holder.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        holder.execute(lock)
        runs = [pool.submit(stage.layby, *words, typed=SEND) for words in commands]

        def all_wait() -> bool:
            early = [run.result() for run in runs if run.done()]
            assert not early, early
            return looks.execute(WAITING).fetchone() == (len(commands),)

        until(all_wait, "all wait", 60)
        postgres.end(signal.SIGKILL)
        for run in runs:
            done = run.result()
            assert (done.returncode, done.stdout) == (1, ""), done
            (told,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]
            assert told.startswith("The database went away: "), done
            assert told.endswith("Run the command again.")
    postgres.begin()


WAITING = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
TABLES = """
    SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
    AND relnamespace = 'public'::regnamespace AND relname <> ALL(%s)
"""
