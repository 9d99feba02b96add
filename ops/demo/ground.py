"""The demo's own ground: servers, database, outbox and key, fresh at each run, apart from all else.

Whatever LAYBY_EMAIL_URL and LAYBY_SMS_URL say, the messages become files: nothing leaves the
machine.
"""

import os
import secrets
import shlex
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from config.settings import Settings
from ops.demo.borrowed import empty_redis, fresh_database
from ops.installation import Installation, home_of, open_installation
from ops.screen import UserError
from ops.servers.home import open_home
from ops.servers.lock import Lock, take

_LOCKS = ("demo.lock", "postgres.lock", "redis.lock")
"""Held while the folder is emptied: another demo's, and those of servers that run in it."""


@dataclass(frozen=True)
class Ground:
    """Where one demo runs."""

    installation: Installation
    home: Path
    outbox: Path

    @property
    def logs(self) -> Path:
        """Where the processes' and the servers' words are kept."""
        folder = self.home / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def environment(self) -> dict[str, str]:
        """What sends a process's messages into the outbox, whatever the user has set."""
        return {
            "LAYBY_EMAIL_URL": f"file://{self.outbox}",
            "LAYBY_SMS_URL": f"file://{self.outbox}",
        }

    def again(self, command: str) -> str:
        """How a shell runs a command on what this demo leaves behind."""
        if self.installation.settings.database_url is None:
            return f"LAYBY_HOME={shlex.quote(str(self.home))} {command}"
        return f"(. {shlex.quote(str(self.home / 'env'))}; {command})"


@contextmanager
def open_ground(settings: Settings) -> Iterator[Ground]:
    """Empty the ground of the last run, and start or reach the servers."""
    with ExitStack() as undo:
        home = open_home(home_of(settings)).path / "demo"
        undo.enter_context(_emptied(home))
        outbox = home / "outbox"
        outbox.mkdir()
        own = _settings(settings, home, outbox, undo)
        installation = undo.enter_context(open_installation(own, connections=4))
        if own.database_url is not None:
            _write_env(home / "env", installation)
        yield Ground(installation, home, outbox)


@contextmanager
def _emptied(home: Path) -> Iterator[None]:
    """Empty the demo's folder, and keep other demos out of it until this one ends."""
    home.mkdir(mode=0o711, exist_ok=True)
    locks = {name: take(home / name) for name in _LOCKS}
    try:
        if None in locks.values():
            raise UserError(
                f"The demo's folder {home} is in use: another demo, or servers started in it. "
                "End them first, or set LAYBY_HOME to another folder."
            )
        for path in home.iterdir():
            if path.name not in _LOCKS:
                _remove(path)
        for name in _LOCKS[1:]:
            _release(locks[name])
        yield
    finally:
        for lock in locks.values():
            _release(lock)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _release(lock: Lock | None) -> None:
    if lock is not None:
        lock.release()


def _settings(settings: Settings, home: Path, outbox: Path, undo: ExitStack) -> Settings:
    """The user's servers, if any were set, but a database of our own in each."""
    files = f"file://{outbox}"
    own: dict[str, object] = {"home": home, "email_url": files, "sms_url": files}
    if settings.database_url is not None:
        own["database_url"] = fresh_database(settings.database_url)
        own["secret_key"] = settings.secret_key or SecretStr(secrets.token_hex(32))
    if settings.redis_url is not None:
        own["redis_url"] = undo.enter_context(empty_redis(settings.redis_url))
    return settings.model_copy(update=own)


def _write_env(path: Path, installation: Installation) -> None:
    """What a shell sets to look at the demo's database later; it holds credentials."""
    settings = {
        "LAYBY_DATABASE_URL": installation.servers.database_url,
        "LAYBY_SECRET_KEY": installation.key.decode(),
        "LAYBY_HOME": str(path.parent),
    }
    lines = (f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(lines)
