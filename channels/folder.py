"""The folder of a file:// channel: its options, and what a failed write there means."""

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from channels.protocol import ChannelError
from channels.url import ChannelUrl, read_options
from config.machine_time import Deadline
from domain.message import Answer, Result

LATE = Result(Answer.NOT_HANDED_OVER, "the deadline passed before anything was written")
_ADVICE = {
    errno.ENOSPC: "Free some space.",
    errno.EDQUOT: "Raise this user's quota, or free some space.",
    errno.EFBIG: "Move the file away, or raise the limit of file size.",
    errno.EACCES: "Give the user that runs Layby the right to write there.",
    errno.EROFS: "Choose a folder on a disk that can be written.",
}


class FileOptions(BaseModel):
    """What may follow the `?` of a file:// URL."""

    model_config = ConfigDict(frozen=True)

    capacity: int = Field(default=1000, ge=1, le=100_000)
    fsync: bool = False


class Folder:
    """Where a file:// channel writes, and how."""

    def __init__(self, url: ChannelUrl) -> None:
        if url.user is not None or not url.folder.strip("/"):
            raise url.refuse(
                "it must name a folder: file://outbox in the current one, file:///var/outbox."
            )
        self.path = Path(url.folder).expanduser().absolute()
        self.name = f"file://{url.folder}"
        self.options = read_options(url, FileOptions)

    async def hand_over(self, write: Callable[[], Result], deadline: Deadline) -> Result:
        """Run `write`; an OSError in it must mean that nothing was handed over."""
        if deadline.passed:
            return LATE
        try:
            if self.options.fsync:
                return await asyncio.to_thread(write)
            # Straight in the event loop: a write into the page cache takes less than the thread.
            return write()
        except OSError as error:
            return Result(Answer.TEMPORARY, self._explained(error))

    def check(self, probe: Callable[[], None]) -> str:
        try:
            probe()
        except OSError as error:
            raise ChannelError(self._explained(error)) from error
        return f"writes to {self.path}"

    def _explained(self, error: OSError) -> str:
        advice = _ADVICE.get(error.errno or 0, "Name a folder that can be written, or mend it.")
        return f"Cannot write to {self.path}: {error.strerror}. {advice}"
