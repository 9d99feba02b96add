"""What is refused, in words that say what it is, what it needs and what to do."""

from typing import NamedTuple


class Refusal(NamedTuple):
    """One customer's (or one set-up command's) no. `code` is stable, `message` is for people."""

    code: str
    message: str


def unknown_account(account: str) -> Refusal:
    """What every command for an account that is not there gets."""
    return Refusal(
        "unknown_account",
        f"There is no account {account}. Create it with put_account, then send the command again "
        "under another id.",
    )
