"""Private servers and processes: who owns them, who attaches, and how they end."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
import pytest
import redis
from patience import until

from ops.servers import private_servers
from ops.servers.lock import take
from ops.up import see_to

ROOT = Path(__file__).parents[3]
AS_ROOT = os.geteuid() == 0
PLAIN_USER = pwd.getpwnam("nobody") if AS_ROOT else pwd.getpwuid(os.geteuid())

# As a plain user it imports first and then becomes that user, who may not be able to read
# root's Python. It tells what it got, waits for a line, and ends in the orderly way.
PROGRAM = """
import json, os, secrets, sys  # secrets: redis imports it late
from pathlib import Path
from ops.servers import ServersError, private_servers
home, user, forks = sys.argv[1:]
if user != "ours":
    os.setgroups([]), os.setgid(int(user)), os.setuid(int(user))
try:
    servers = private_servers(Path(home), source="wheels", durable=False)
except ServersError as error:
    print(json.dumps({"error": str(error)}), flush=True)
    sys.exit(1)
worker, (ready, tell) = None, os.pipe()
if forks == "forks":
    worker = os.fork()
    if worker == 0:
        servers.stop()
        os.write(tell, b"!")
    else:
        os.read(ready, 1)
if worker != 0:
    word = {"owned": servers.owned, "database_url": servers.database_url,
            "redis_url": servers.redis_url, "said": servers.said, "worker": worker}
    print(json.dumps(word), flush=True)
sys.stdin.readline()
servers.stop()
"""


class Process:
    """A process that runs private servers, and what it said of them."""

    def __init__(self, home: Path, *, user: str = "ours", forks: str = "no") -> None:
        command = [sys.executable, "-c", PROGRAM, str(home), user, forks]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def told(self) -> dict[str, str]:
        assert self._process.stdout
        word: dict[str, str] = json.loads(self._process.stdout.readline())
        return word

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(20)

    def end(self) -> int:
        self._process.communicate("\n", timeout=30)
        return self._process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def home() -> Iterator[Path]:
    # Not tmp_path: pytest closes its folders to the user that root's servers run as.
    folder = Path(tempfile.mkdtemp(prefix="layby-test-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def server_pids(home: Path, told: dict[str, str]) -> list[int]:
    postgres = (home / "postgres" / "postmaster.pid").read_text().split("\n")[0]
    with redis.Redis.from_url(told["redis_url"]) as broker:
        return [int(postgres), int(broker.info("server")["process_id"])]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # Ended, but not yet collected by a lazy init.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


def answers(told: dict[str, str]) -> bool:
    psycopg.connect(told["database_url"]).close()
    with redis.Redis.from_url(told["redis_url"]) as broker:
        return bool(broker.ping())


def test_killed_parent_takes_its_servers_along_and_their_data_stay(home: Path) -> None:
    """Killed as by kill -9, it leaves no server behind, and nothing that hinders the next start."""
    with Process(home) as parent:
        told = parent.told()
        pids = server_pids(home, told)
        with psycopg.connect(told["database_url"]) as connection:
            connection.execute("CREATE TABLE kept ()")
        parent.kill()
    until(lambda: all(gone(pid) for pid in pids), "both servers gone")
    with private_servers(home, source="wheels", durable=False) as servers:
        assert servers.owned
        with psycopg.connect(servers.database_url) as connection:
            assert connection.execute("SELECT to_regclass('kept')::text").fetchone() == ("kept",)


def test_start_just_after_a_kill_waits_for_the_dying_server(home: Path) -> None:
    """Here PostgreSQL takes its time: stopped, it can't follow its guard's signal yet."""
    with Process(home) as parent:
        pids = server_pids(home, parent.told())
        os.kill(pids[0], signal.SIGSTOP)
        parent.kill()
    until(lambda: gone(pids[1]), "Redis gone")
    held = take(home / "postgres.lock") is None
    with Process(home) as successor:
        os.kill(pids[0], signal.SIGCONT)
        assert held
        assert successor.told()["owned"]
        assert gone(pids[0])
        assert successor.end() == 0


def test_server_that_is_killed_alone_is_started_again_with_its_data(home: Path) -> None:
    """For want of memory, say: its processes would look for it for ever, and nobody be told."""
    with private_servers(home, durable=False) as servers:
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            connection.execute("SET synchronous_commit = on")
            connection.execute("CREATE TABLE kept (x int)")
            postmaster = int((home / "postgres" / "postmaster.pid").read_text().split()[0])
            with redis.Redis.from_url(servers.redis_url) as client:
                os.kill(client.info("server")["process_id"], signal.SIGKILL)
            os.kill(postmaster, signal.SIGKILL)
        again: list[str] = []

        def both_are_back() -> bool:
            again.extend(servers.start_what_ended())
            return len(again) == 2

        until(both_are_back, "both are back")
        with psycopg.connect(servers.database_url) as connection:
            assert connection.execute("TABLE kept").fetchall() == []
        with redis.Redis.from_url(servers.redis_url) as client:
            assert client.ping()
        assert sorted(again) == sorted(servers.said.splitlines())
        assert servers.start_what_ended() == []
    assert take(home / "postgres.lock") is not None, "it ends with its owner all the same"


def test_forked_worker_neither_ends_nor_keeps_the_servers(home: Path) -> None:
    """A fork has copies of everything: of stop(), of the lock, of the guards' pipes."""
    with Process(home, forks="forks") as parent:
        told = parent.told()
        pids = server_pids(home, told)
        assert answers(told), "the worker called stop(), and they are its parent's"
        parent.kill()
        until(lambda: all(gone(pid) for pid in pids), "both servers gone")
        assert not gone(int(told["worker"]))
        with private_servers(home, source="wheels", durable=False) as servers:
            assert servers.owned


def test_parent_killed_while_data_is_made_is_no_obstacle(home: Path) -> None:
    """What initdb had half made is made anew, once that initdb is gone."""
    with Process(home) as parent:
        begun = home / "postgres.unfinished" / "PG_VERSION"
        until(begun.exists, "initdb begun")
        parent.kill()
    assert not (home / "postgres").exists()
    with private_servers(home, source="wheels", durable=False) as servers:
        assert servers.owned
        psycopg.connect(servers.database_url).close()


def test_of_two_processes_at_once_one_owns_and_the_other_attaches(home: Path) -> None:
    """The one that attached may end; the servers stay with the other."""
    with Process(home) as one, Process(home) as other:
        words = [one.told(), other.told()]
        assert sorted(bool(word["owned"]) for word in words) == [False, True]
        assert words[0]["database_url"] == words[1]["database_url"]
        attached, owner = (one, other) if words[1]["owned"] else (other, one)
        told = next(word for word in words if not word["owned"])
        assert "valkey-server 9" in told["said"]
        assert told["said"].count(", started by process ") == 2
        pids = server_pids(home, told)
        assert attached.end() == 0
        assert answers(told)
        assert owner.end() == 0
        assert all(gone(pid) for pid in pids)


def test_servers_of_another_process_that_has_ended_are_taken_over(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By one of those that attached, at the same sockets; what one `up` began, another goes on."""
    with ExitStack() as attached:
        with Process(home) as owner:
            told = owner.told()
            with psycopg.connect(told["database_url"]) as connection:
                connection.execute("CREATE TABLE kept ()")
            first, second = (
                attached.enter_context(private_servers(home, source="wheels", durable=False))
                for _ in range(2)
            )
            assert (first.take_over(), second.take_over()) == ([], [])
            assert owner.end() == 0
        told_by_up: list[str] = []

        def taken_over() -> bool:
            see_to(first)
            told_by_up.append(capsys.readouterr().err)
            return "".join(told_by_up).count("had ended with the process that ran it") == 2

        until(taken_over, "both are taken over")
        assert second.take_over() == []
        assert answers(told)
        with psycopg.connect(told["database_url"]) as connection:
            assert connection.execute("SELECT to_regclass('kept')::text").fetchone() == ("kept",)
        pids = server_pids(home, told)
        second.stop()
        assert answers(told), "they are the first one's"
        first.stop()
        assert all(gone(pid) for pid in pids)
    assert not Path(told["redis_url"].removeprefix("unix://")).parent.exists(), "no litter"


def test_plain_user_runs_the_servers_itself(home: Path) -> None:
    """And root, who comes later, runs that data as its owner."""
    os.chown(home, PLAIN_USER.pw_uid, PLAIN_USER.pw_gid)
    with Process(home, user=str(PLAIN_USER.pw_uid) if AS_ROOT else "ours") as process:
        told = process.told()
        assert told.get("owned"), told
        assert (home / "postgres").stat().st_uid == PLAIN_USER.pw_uid
        with psycopg.connect(told["database_url"]) as connection:
            connection.execute("CREATE TABLE kept ()")
        assert process.end() == 0
    with (
        private_servers(home, source="wheels", durable=False) as servers,
        psycopg.connect(servers.database_url) as connection,
    ):
        assert connection.execute("SELECT to_regclass('kept')::text").fetchone() == ("kept",)


def test_home_that_a_plain_user_may_not_write_to_is_refused(home: Path) -> None:
    home.chmod(0o555)
    with Process(home, user=str(PLAIN_USER.pw_uid) if AS_ROOT else "ours") as process:
        assert "Permission denied" in process.told()["error"]
    home.chmod(0o755)


def test_sockets_are_closed_to_other_users(home: Path) -> None:
    with private_servers(home, source="wheels", durable=False) as servers:
        folder = Path(servers.redis_url.removeprefix("unix://")).parent
        assert folder.stat().st_mode & 0o777 == 0o700
        assert len(os.fsencode(folder)) < 60
    assert not folder.exists(), "no litter in /tmp"
