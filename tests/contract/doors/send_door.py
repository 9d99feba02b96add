"""`layby send -`, the command itself, in this process."""

from collections.abc import Sequence

from contract.doors.door import Ground, RefusedAtTheDoorError
from harness import KEY
from typer.testing import CliRunner

from ops.cli import app
from ops.screen import UserError


class SendDoor:
    name = "send"

    def __init__(self, ground: Ground) -> None:
        self._environ = {
            "LAYBY_HOME": str(ground.folder / "home"),
            "LAYBY_DATABASE_URL": ground.database_url,
            "LAYBY_REDIS_URL": ground.redis_url,
            "LAYBY_SECRET_KEY": KEY.decode(),
        }

    def submit(self, raw: bytes) -> None:
        ran = CliRunner().invoke(app, ["send", "-"], input=raw, env=self._environ)
        if isinstance(ran.exception, UserError):
            raise RefusedAtTheDoorError(str(ran.exception))
        if ran.exception is not None and not isinstance(ran.exception, SystemExit):
            raise ran.exception

    def submit_all(self, raws: Sequence[bytes]) -> None:
        self.submit(b"\n".join(raws))

    def close(self) -> None:
        """Nothing is open."""
