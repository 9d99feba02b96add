"""`layby web` as it is run: found by its log, let in by `layby token`, told to stop by SIGTERM."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest
from acceptance.stage import KEY, Stage, active, assign, command, move, set_up
from acceptance.supervisor import Supervisor
from patience import until

from domain.access import USUAL_LIFE, Role
from domain.commands import read_command
from storage.database import connect
from web.app import openapi_document
from web.bearer import make_token

EXAMPLES = Path(__file__).parents[2] / "examples" / "http"
PROGRAMS = {"move.sh": "sh", "move.mjs": "node", "move.py": sys.executable}


def address(supervisor: Supervisor) -> str:
    """Where the web process says that it listens."""
    (found,) = until(
        lambda: re.findall(r'"url": "(http://[^"]+)"', supervisor.log("web")), "web listens"
    )
    return str(found)


def token(stage: Stage) -> str:
    """An operator's, without the command line, which is tried once below."""
    engine = connect(stage.database_url, connections=1)
    with engine.begin() as connection:
        _, secret = make_token(
            connection,
            KEY.encode(),
            account="acme",
            role=Role.OPERATOR,
            label="",
            made_by="test",
            life=USUAL_LIFE,
        )
    engine.dispose()
    return secret


def client(url: str, bearer: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {bearer}"}
    return httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)


def test_examples_run_as_they_are_written(stage: Stage) -> None:
    """Each is run by its own program; where a machine has none, its text is still held below."""
    customers = {name: f"c-{number}" for number, name in enumerate(PROGRAMS)}
    with stage.supervisor().start("web", "lifecycle") as supervisor:
        made = stage.layby("token", "create", "--account", "acme", "--role", "admin")
        bearer = made.stdout.strip()
        assert bearer not in made.stderr
        environ = {**os.environ, "LAYBY_URL": address(supervisor), "LAYBY_TOKEN": bearer}
        commands = [*set_up(), *active(*customers.values()), assign("a", *customers.values())]
        with client(environ["LAYBY_URL"], bearer) as web:
            sent = web.post("/v1/commands?wait=done", json=commands)
        assert {one["outcome"]["state"] for one in sent.json()} == {"applied"}
        runs = [name for name, program in PROGRAMS.items() if _can_run(name, program)]
        assert "move.py" in runs
        for name in runs:
            ran = subprocess.run(
                [PROGRAMS[name], str(EXAMPLES / name), "acme", customers[name]],
                env=environ,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert ran.returncode == 0, ran.stderr + ran.stdout
            outcome = json.loads(ran.stdout)
            assert (outcome["id"], outcome["cancelled"]) == (f"move-{customers[name]}", 1)
            assert outcome["quiet_at"] is not None


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_example_says_what_the_document_says(name: str) -> None:
    """Its address, method, header and command, read from its text, on any machine."""
    text = (EXAMPLES / name).read_text("utf-8")
    (path,) = re.findall(r"(/v1/[a-z]+)\?wait=quiet&timeout=30", text)
    operation = openapi_document()["paths"][path]["post"]
    assert re.search(r"""(--request POST|method: "POST"|method="POST")""", text)
    (kind,) = re.findall(r'Content-Type"?: "?(application/[a-z-]+)', text)
    assert kind in operation["requestBody"]["content"]
    assert "Authorization" in text
    (written,) = re.findall(r'\{\s*"id": .*?"reason": "paid",?\s*\}', text, re.DOTALL)
    written = re.sub(r",\s*\}", "}", written)
    placed = re.sub(r"""'"\$\d"'""", "x", written)
    placed = re.sub(r'f"move-\{customer\}"|`move-\$\{customer\}`', '"move-x"', placed)
    placed = placed.replace("[customer]", '["x"]').replace('"account": account', '"account": "x"')
    assert read_command(placed).kind == "move_to_directory"


def test_web_told_to_stop_answers_those_that_wait_and_ends_well(stage: Stage) -> None:
    """Nobody applies the command; its sender still learns that it is accepted."""
    with stage.supervisor().start("web") as supervisor:
        url, bearer = address(supervisor), token(stage)
        with ThreadPoolExecutor(1) as pool, client(url, bearer) as web:
            query: dict[str, str | int] = {"wait": "quiet", "timeout": 120}
            answer = pool.submit(web.post, "/v1/commands", params=query, json=move("m", "c-1"))
            until(lambda: stage.states("m") == ["accepted"], "the command is accepted")
            until(lambda: "layby_http_waiters 1.0" in _metrics(url), "its sender waits")
            with supervisor.killed("web", signal.SIGTERM):
                answered = answer.result(30)
                assert supervisor.endings == [("web", 0)]
    assert (answered.status_code, answered.json()["state"]) == (202, "accepted")
    assert answered.headers["layby-wait"] == "stopping"


def test_no_token_address_or_path_is_in_the_log(stage: Stage) -> None:
    """Of requests there are the route and the status; when something breaks, where."""
    with stage.supervisor().start("web") as supervisor:
        url, bearer = address(supervisor), token(stage)
        foreign = "layby_0123456789abcdef_" + "A" * 43
        with client(url, bearer) as web, client(url, foreign) as stranger:
            told = [
                web.post("/v1/commands", json=active("ann")[0]),
                web.post("/v1/commands", json={**active("ann")[0], "id": "ann@example.org"}),
                web.post("/v1/commands", json=command("x", "add_customer", profile={"email": "y"})),
                web.get("/v1/customers/ann@example.org"),
                web.get(f"/v1/customers?cursor={foreign}"),
                stranger.get(f"/v1/customers?access_token={foreign}"),
            ]
            with psycopg.connect(stage.database_url) as connection:
                connection.execute("ALTER TABLE command_targets RENAME TO gone")
            told.append(web.get("/v1/commands/add-ann"))
    assert told[-1].status_code == 500
    log = supervisor.log("web")
    assert '"request_failed"' in log
    assert "UndefinedTable" in log
    assert "example.org" not in log
    for secret in (bearer.split("_", 2)[2], "A" * 43):
        assert secret not in log
        assert secret not in "".join(one.text for one in told)


def test_web_whose_port_is_taken_says_so_and_ends(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = stage.layby("web", http_port=str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "Set LAYBY_HTTP_HOST" in done.stderr
    assert "Traceback" not in done.stderr


def _metrics(url: str) -> str:
    return httpx.get(f"{url}/metrics", trust_env=False).text


def _can_run(name: str, program: str) -> bool:
    return bool(shutil.which(program)) and (name != "move.sh" or bool(shutil.which("curl")))
