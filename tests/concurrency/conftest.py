"""What every test of concurrency starts from: people on a schedule, and threads that can stop."""

from collections.abc import Iterator

import pytest
from concurrency.interleave import Interleaving
from concurrency.parts import FakeClock
from harness import Layby

from scheduler import ticks
from storage.database import Engine


@pytest.fixture
def between(engine: Engine) -> Iterator[Interleaving]:
    with Interleaving(engine) as interleaving:
        yield interleaving


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The watches' machine time, for the test to turn."""
    clock = FakeClock()
    monkeypatch.setattr(ticks, "machine_seconds", clock)
    return clock


@pytest.fixture
def people(layby: Layby) -> Layby:
    """Ann and Bob, active, each with the first send of a schedule due now."""
    layby.set_up()
    layby.on_schedule("ann", "bob")
    return layby
