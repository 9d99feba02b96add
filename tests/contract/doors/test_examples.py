"""The examples of examples/doors, run as they are."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from contract.doors.conftest import Doors
from contract.doors.stand_ins import programs
from harness import KEY, Layby

from ops.servers import Servers

EXAMPLES = Path(__file__).parents[3] / "examples" / "doors"


@pytest.fixture
def environ(database_url: str, servers: Servers, tmp_path: Path) -> dict[str, str]:
    folders = (programs(tmp_path / "bin", servers.redis_url), Path(sys.executable).parent)
    return {
        "PATH": os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)]),
        "LAYBY_HOME": str(tmp_path / "home"),
        "LAYBY_DATABASE_URL": database_url,
        "LAYBY_REDIS_URL": servers.redis_url,
        "LAYBY_SECRET_KEY": KEY.decode(),
    }


@pytest.fixture
def shop(layby: Layby) -> Layby:
    """An active customer c-17, and unpaid invoices."""
    layby.set_up()
    layby.on_schedule("c-17")
    with layby.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE invoices (number text PRIMARY KEY, paid boolean NOT NULL DEFAULT false);"
            "INSERT INTO invoices (number) VALUES ('INV-1042'), ('INV-1043')"
        )
    return layby


def run(example: str, environ: dict[str, str]) -> None:
    path = EXAMPLES / example
    words = [sys.executable, str(path)] if path.suffix == ".py" else ["/bin/sh", str(path)]
    done = subprocess.run(
        words, env=environ, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("example", "command", "door"),
    [
        ("redis-cli.sh", "cli-1", "stream"),
        ("psql.sh", "psql-1", "sql"),
        ("submit_in_transaction.py", "python-1", "sql"),
    ],
)
def test_example_is_applied(
    shop: Layby, doors: Doors, environ: dict[str, str], example: str, command: str, door: str
) -> None:
    run(example, environ)
    doors.apply()
    assert shop.outcome(command).state == "applied"
    assert shop.one("SELECT door FROM commands WHERE command = :c", c=command) == door
    assert shop.one("SELECT count(*) FROM invoices WHERE paid") == (door == "sql")


def test_example_that_publishes_until_it_is_known_ends_once_it_is(
    shop: Layby, doors: Doors, environ: dict[str, str]
) -> None:
    over = threading.Event()

    def take_in() -> None:
        while not over.wait(0.05):
            doors.take_in()

    intake = threading.Thread(target=take_in)
    intake.start()
    try:
        run("publish_until_known.py", environ)
    finally:
        over.set()
        intake.join()
    doors.apply()
    assert shop.outcome("python-2").state == "applied"
    assert shop.one("SELECT count(*) FROM commands WHERE command LIKE 'python-2%'") == 1
