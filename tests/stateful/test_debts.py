"""Facts, words and edited schedules come to what a slow, plain planner says, whenever sends go."""

import pytest
from concurrency.parts import FakeClock
from harness import Layby
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from stateful.conftest import DATABASE_IS_SLOW
from stateful.debts_machine import DebtMachine


def run(layby: Layby, clock: FakeClock, *, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        lambda: DebtMachine(layby, clock),  # type: ignore[arg-type] # a factory will do
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=DATABASE_IS_SLOW,
        ),
    )


def test_any_debts_go_as_the_plain_planner_says(layby: Layby, clock: FakeClock) -> None:
    run(layby, clock, examples=5, steps=29)


@pytest.mark.soak
def test_debts_of_a_long_time_go_as_the_plain_planner_says(layby: Layby, clock: FakeClock) -> None:
    """Four minutes on two cores."""
    run(layby, clock, examples=45, steps=80)
