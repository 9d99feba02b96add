"""`layby token`, and what `layby check` and `layby up` say of the door."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import KEY
from typer.testing import CliRunner, Result

from config.settings import Settings
from ops.check_command import door_result
from ops.cli import app
from ops.servers import Servers
from storage.database import Engine
from web.address import AddressError, listen, url_of
from web.bearer import recognise

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, servers: Servers, tmp_path: Path) -> Run:
    environ = {
        "LAYBY_DATABASE_URL": database_url,
        "LAYBY_REDIS_URL": servers.redis_url,
        "LAYBY_SECRET_KEY": KEY.decode(),
        "LAYBY_HOME": str(tmp_path / "home"),
    }
    return lambda *words: CliRunner().invoke(app, ["token", *words], env=environ)


def test_token_is_made_shown_listed_and_revoked(run: Run, engine: Engine) -> None:
    options = ("-a", "acme", "--role", "viewer", "--days", "7", "--label", "crm", "--json")
    made = run("create", *options)
    assert made.exit_code == 0, made.output
    shown = json.loads(made.stdout)
    with engine.begin() as connection:
        calling = recognise(connection, KEY, shown["secret"])
    assert (calling.account, calling.role, calling.token) == ("acme", "viewer", shown["token"])
    listed = run("list", "--json").stdout
    assert [one["label"] for one in json.loads(listed)] == ["crm"]
    assert shown["secret"].split("_", 2)[2] not in listed
    assert run("revoke", shown["token"]).exit_code == 0
    assert json.loads(run("list", "--json").stdout)[0]["revoked_at"] is not None
    assert run("revoke", "nonesuch").exit_code == 1


def test_token_of_the_installation_is_asked_for_by_that_name(run: Run, engine: Engine) -> None:
    """Never by leaving the account out."""
    assert run("create").exit_code == 2
    assert run("create", "--installation", "-a", "acme").exit_code == 2
    assert run("create", "-a", "Not An Account").exit_code == 2
    assert run("create", "-a", "acme", "--days", "367").exit_code == 2
    made = run("create", "--installation")
    secret = made.stdout.strip().splitlines()[-1]
    with engine.begin() as connection:
        assert recognise(connection, KEY, secret).is_installation


def test_check_finds_a_port_that_somebody_else_has() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressError, match="Set LAYBY_HTTP_HOST"):
            door_result(Settings(http_port=port))
    assert door_result(Settings(http_port=port)) == f"http://127.0.0.1:{port} is free"
    assert door_result(Settings(http_port=0)) == "any free port"
    with pytest.raises(AddressError, match=r"no\.such\.host\.invalid"):
        door_result(Settings(http_host="no.such.host.invalid"))


def test_address_is_told_as_a_url() -> None:
    with listen("127.0.0.1", 0) as bound:
        assert url_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"
