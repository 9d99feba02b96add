"""A bell for tests that ring and do not deliver."""


class CountingBell:
    """A bell that remembers for whom it was rung."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def waiting(self, account: str, *, bulk: bool = False) -> None:  # noqa: ARG002 - not told
        self.rung.append(account)

    def due(self, account: str, channel: str) -> None:
        raise AssertionError((account, channel))
