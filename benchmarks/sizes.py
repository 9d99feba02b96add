"""How much is measured: in full, or just enough to see that everything runs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Numbers of rows, and for how long or how often."""

    rounds: int
    window_seconds: float
    raw_rows: int
    customers: int
    plain_sends: int
    standing_customers: int
    pairs: int
    ticks: int
    bulk_customers: int
    bulk_at_once: int
    memory_sends: int


FULL = Size(
    rounds=3,
    window_seconds=8.0,
    raw_rows=1_000_000,
    customers=100_000,
    plain_sends=25_000,
    standing_customers=100_000,
    pairs=200,
    ticks=300,
    bulk_customers=100_000,
    bulk_at_once=100,
    memory_sends=500_000,
)
QUICK = Size(
    rounds=1,
    window_seconds=2.0,
    raw_rows=50_000,
    customers=8_000,
    plain_sends=8_000,
    standing_customers=4_000,
    pairs=20,
    ticks=20,
    bulk_customers=4_000,
    bulk_at_once=100,
    memory_sends=20_000,
)
