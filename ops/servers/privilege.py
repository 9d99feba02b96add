"""Who the servers run as. PostgreSQL refuses root, and Redis has no need of it."""

import os
import pwd
import subprocess
from pathlib import Path
from typing import NamedTuple

from ops.servers.errors import ServersError

_STAND_INS_FOR_ROOT = ("postgres", "_postgres", "nobody")

# Nothing of the caller's environment: PGPORT or PGDATA would lead the servers elsewhere, and
# macOS ends a PostgreSQL whose locale is unset.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}


class ServerUser(NamedTuple):
    """A user of this machine; `switched` where that is not the one who runs Layby."""

    name: str
    uid: int
    gid: int
    switched: bool

    def spawn(
        self, command: list[str], *, keep_fd: int, stdout: int, stderr: int = subprocess.STDOUT
    ) -> subprocess.Popen[bytes]:
        """Start a command as this user, in a session of its own, with a pipe as its input."""
        return subprocess.Popen(  # noqa: S603 - a list of our own making, no shell expansion
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            # The caller's folder may be closed to this user.
            cwd="/",
            env=ENVIRONMENT,
            pass_fds=(keep_fd,),
            # Ctrl-C in a terminal is for Layby, which then stops the servers in its own order.
            start_new_session=True,
            umask=0o077,
            user=self.uid if self.switched else None,
            group=self.gid if self.switched else None,
            extra_groups=() if self.switched else None,
        )

    def output_of(self, *command: str) -> str | None:
        """What a short command prints when this user runs it; None where it can't or fails."""
        try:
            done = subprocess.run(  # noqa: S603 - as above
                command,
                capture_output=True,
                check=True,
                text=True,
                timeout=30,
                cwd="/",
                env=ENVIRONMENT,
                user=self.uid if self.switched else None,
                group=self.gid if self.switched else None,
                extra_groups=() if self.switched else None,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout

    def can_enter(self, folder: Path) -> bool:
        """Whether this user gets into a folder: asked of the system, which knows of ACLs too."""
        return self.output_of("/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)) is not None


def server_user(*data_folders: Path) -> ServerUser:
    """Ourselves; for root the owner of data already there, else the machine's database user."""
    if os.geteuid() != 0:
        return ServerUser(_name_of(os.geteuid()), os.geteuid(), os.getegid(), switched=False)
    for folder in data_folders:
        if folder.exists() and folder.stat().st_uid != 0:
            owner = folder.stat()
            return ServerUser(_name_of(owner.st_uid), owner.st_uid, owner.st_gid, switched=True)
    for name in _STAND_INS_FOR_ROOT:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(name, entry.pw_uid, entry.pw_gid, switched=True)
    raise ServersError(
        "PostgreSQL does not run as root, and this machine has none of the users "
        f"{', '.join(_STAND_INS_FOR_ROOT)}. Run Layby as a plain user, add one of them, "
        "or set LAYBY_DATABASE_URL and LAYBY_REDIS_URL to servers of yours."
    )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container may run as a number without an entry
        return str(uid)
