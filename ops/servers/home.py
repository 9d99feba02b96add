"""The folder that keeps the servers' data, and the short one that holds their sockets."""

import hashlib
import os
import stat
import sys
from pathlib import Path
from typing import NamedTuple

from ops.servers.errors import ServersError
from ops.servers.privilege import ServerUser, server_user

# A socket's path has room for about 100 bytes, and homes can be long. Not $TMPDIR: two
# processes of one home must find the same sockets, whatever their environments say.
_SOCKETS = Path("/tmp")  # noqa: S108 - the folder in it is checked: ours, 0700, no link

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Home(NamedTuple):
    """A prepared home, and who the servers in it run as."""

    path: Path
    user: ServerUser

    @property
    def sockets(self) -> Path:
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
        return _SOCKETS / f"layby-{self.user.uid}-{digest}"

    def claim(self, folder: Path) -> Path:
        """Make a folder that only the servers' user can read, or check that it is one."""
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if self.user.switched and status.st_uid == 0 and stat.S_ISDIR(status.st_mode):
            os.chown(folder, self.user.uid, self.user.gid, follow_symlinks=False)
            status = folder.lstat()
        private = stat.S_ISDIR(status.st_mode) and not status.st_mode & _OTHERS
        if not private or status.st_uid != self.user.uid:
            raise ServersError(
                f"{folder} must be a folder, no link, that belongs to user {self.user.name} and is "
                "closed to others (mode 0700). Remove or rename what is there, or set LAYBY_HOME "
                "to another folder."
            )
        return folder

    @property
    def logs(self) -> Path:
        folder = self.path / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder


def default_home() -> Path:
    """Where data is kept when LAYBY_HOME says nothing: the platform's folder for a user's data."""
    if os.geteuid() == 0:
        return Path("/var/lib/layby")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "layby"
    data = os.environ.get("XDG_DATA_HOME", "")
    # The XDG rule: a relative path there is invalid and counts as unset.
    return (Path(data) if Path(data).is_absolute() else Path.home() / ".local" / "share") / "layby"


def open_home(path: Path) -> Home:
    """Make or check a home; raises ServersError where the servers' user can't get into it."""
    path = path.expanduser().resolve()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    user = server_user(path / "postgres", path / "redis")
    # An empty folder was made for us. Any other may be someone's, such as /root: hands off.
    if user.switched and not any(path.iterdir()):
        path.chmod(0o711)
    if user.switched and not user.can_enter(path):
        raise ServersError(
            f"As root, the servers run as user {user.name}, who can't get into {path}. Set "
            f"LAYBY_HOME to a folder below ones that everyone may enter, such as {default_home()}, "
            "or run Layby as a plain user."
        )
    return Home(path, user)
