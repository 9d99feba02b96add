"""G1 to G7 after every step of any sequence of commands, sends, answers and crashes."""

import pytest
from concurrency.parts import FakeClock
from harness import Layby
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from stateful.conftest import DATABASE_IS_SLOW
from stateful.journey.commanding import AT_ONCE
from stateful.machine import JourneyMachine

from workers import bulk, resolving


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four customers are several chunks of bulk work."""
    monkeypatch.setattr(bulk, "CHUNK", AT_ONCE)
    monkeypatch.setattr(resolving, "LOOKED_AT_ONCE", AT_ONCE)


def run(layby: Layby, clock: FakeClock, *, examples: int, steps: int) -> None:
    """Each example has an account of its own, in one database: accounts do not see each other."""
    run_state_machine_as_test(
        lambda: JourneyMachine(layby, clock),  # type: ignore[arg-type] # a factory will do
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=DATABASE_IS_SLOW,
        ),
    )


def test_guarantees_hold_after_every_step_of_any_journey(layby: Layby, clock: FakeClock) -> None:
    run(layby, clock, examples=5, steps=32)


@pytest.mark.soak
def test_guarantees_hold_on_long_journeys(layby: Layby, clock: FakeClock) -> None:
    run(layby, clock, examples=80, steps=100)
