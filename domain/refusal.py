"""What is refused, in words that say what it is, what it needs and what to do."""

from typing import NamedTuple


class Refusal(NamedTuple):
    """One customer's (or one set-up command's) no. `code` is stable, `message` is for people."""

    code: str
    message: str
