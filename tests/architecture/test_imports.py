"""Who imports whom, and that importing opens nothing."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("channels", "config", "domain", "ops", "scheduler", "storage", "web", "workers")
FILES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.is_file()
)


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""


def importers(library: str) -> set[str]:
    """The packages that import a library."""
    return {
        path.relative_to(ROOT).parts[0]
        for path in FILES
        if any(name.split(".")[0] == library for name in imported(path))
    }


def test_contracts_of_the_import_linter_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """`web | ops → scheduler → workers → storage | channels → domain`, anyone → `config`."""
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True) == 0


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("sqlalchemy", "storage"),
        ("alembic", "storage"),
        ("aiosmtplib", "channels"),
        ("fastapi", "web"),
    ],
)
def test_library_has_one_package_that_imports_it(library: str, package: str) -> None:
    assert importers(library) == {package}


PURE = {
    *("collections", "contextlib", "csv", "dataclasses", "datetime", "decimal", "difflib"),
    *(
        "enum",
        "functools",
        "heapq",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "typing",
        "zoneinfo",
    ),
    *("pydantic", "phonenumbers", "email_validator", "holidays", "domain"),
    "importlib",  # the data that a library brings, such as zones
}
DOING = {"open", "print", "input", "exec", "eval", "breakpoint"}


def test_domain_imports_only_what_is_pure() -> None:
    """Standard library without input and output, pydantic, and those that only know facts."""
    others = {
        (path.name, name)
        for path in (ROOT / "domain").glob("*.py")
        for name in imported(path)
        if name.split(".")[0] not in PURE
    }
    assert others == set()


def test_domain_asks_no_clock_and_opens_nothing() -> None:
    """Time is an argument there."""
    for path in (ROOT / "domain").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            assert called.rpartition(".")[2] not in {"now", "utcnow", "today"}, (path.name, called)
            assert called not in DOING, (path.name, called)


def test_plain_planner_shares_nothing_with_the_product() -> None:
    """What the tables are compared with is reckoned another way, from the standard library up."""
    others = {
        (path.name, name)
        for path in (ROOT / "tests" / "stateful" / "plain").glob("*.py")
        for name in imported(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not name.startswith("stateful.plain")
    }
    assert others == set()


WATCHED = """
import importlib, json, os, sys, threading

did = []
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
NEVER = {
    "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.chmod", "os.system", "os.fork",
    "os.exec", "os.posix_spawn", "os.putenv", "subprocess.Popen", "shutil.rmtree",
    "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.sendto", "signal.pthread_kill",
    "tempfile.mkdtemp", "tempfile.mkstemp",
}

def watch(event, arguments):
    if event in NEVER or (event == "open" and isinstance(arguments[2], int)
                          and arguments[2] & WRITING and arguments[0] != os.devnull):
        did.append(f"{event} {arguments[0]!r}")

sys.dont_write_bytecode = True
sys.addaudithook(watch)
environment = dict(os.environ)
for name in json.load(sys.stdin):
    importlib.import_module(name)
threads = [thread.name for thread in threading.enumerate()]
assert did == [], did
assert threads == ["MainThread"], threads
assert dict(os.environ) == environment
"""


def test_nothing_is_opened_written_or_started_by_importing() -> None:
    """Every module, in a process whose audit hook sees each file, socket, process and folder."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in FILES
        if "migrations" not in path.parts and path.stem != "__main__"
    ]
    assert len(modules) > 60
    ran = subprocess.run(
        [sys.executable, "-c", WATCHED],
        input=json.dumps(modules).encode(),
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()[-2000:]


FORBIDDEN = """
import socket, sys
def watch(event, arguments):
    if event == "open" and arguments[2] & 1:
        raise SystemExit(3)
sys.addaudithook(watch)
open(sys.argv[1], "w")
"""


def test_audit_hook_sees_a_file_opened_for_writing(tmp_path: Path) -> None:
    """What the test above relies on."""
    ran = subprocess.run(
        [sys.executable, "-c", FORBIDDEN, str(tmp_path / "x")], capture_output=True, check=False
    )
    assert ran.returncode == 3
