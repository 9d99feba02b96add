"""The machines' assertions say what they compared, like those of a test."""

import pytest
from concurrency.parts import FakeClock
from hypothesis import HealthCheck

from scheduler import ticks

pytest.register_assert_rewrite(
    *("stateful.machine", "stateful.journey"),
    *("stateful.debts_machine", "stateful.debts_pairs", "stateful.debts_side"),
)

DATABASE_IS_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
"""A step is a dozen statements on a real server; and it is the rules that draw the data."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Machine time of whoever watches leases."""
    clock = FakeClock()
    monkeypatch.setattr(ticks, "machine_seconds", clock)
    return clock
