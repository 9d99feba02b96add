"""`memory`: how much each process grows over half a million sends, with moves coming in besides."""

import itertools
import json
import time
from collections.abc import Collection
from pathlib import Path
from statistics import linear_regression, mean

import psycopg
import redis

from benchmarks.figure import Figure
from benchmarks.fill import enrol
from benchmarks.ground import BenchmarkError, Ground, must_be_whole, running, url_of
from benchmarks.pipeline import ACCOUNTS, started, steadily
from benchmarks.sizes import Size
from config.machine_time import Deadline
from ops.family import Family
from workers.intake import STREAM

FIGURES = ("memory",)
_WARM_UP = 0.3
"""The part of the sends after which everything is loaded, cached and pooled."""

_SAMPLES = 100
_AT_MOST_SECONDS = 240

Sample = dict[str, tuple[int, float]]
"""For each process: sends until then, and its megabytes."""


def measure(ground: Ground, size: Size, wanted: Collection[str]) -> dict[str, Figure]:
    """Of the process that grows most: megabytes over so many sends, beside what it has."""
    del wanted
    if not Path("/proc/self/status").exists():
        raise BenchmarkError("memory needs /proc, which this system has not. Name other figures.")
    with ground.installation("memory") as installation:
        enrol(installation, ACCOUNTS, size.customers // len(ACCOUNTS), due_in="-1 hour")
        ground.settle_down()
        with (
            psycopg.connect(url_of(installation), autocommit=True) as connection,
            installation.redis() as client,
            running(installation, "intake", "lifecycle", "scheduler") as engine,
            running(installation, "delivery-200", program="benchmarks.null_delivery") as delivery,
        ):
            steadily(connection)
            samples = _watch(connection, client, [engine, delivery], size.memory_sends)
        must_be_whole(installation)
    return {"memory": _figure(samples, size.memory_sends)}


def _watch(
    connection: psycopg.Connection, client: redis.Redis, families: list[Family], sends: int
) -> list[Sample]:
    """Look at regular numbers of sends; between two looks a customer is moved."""
    first, patience = started(connection), Deadline.after(_AT_MOST_SECONDS)
    samples: list[Sample] = []
    for number in itertools.count(1):
        _move(client, f"c-{number}")
        time.sleep(0.1)
        done = started(connection) - first
        if done >= sends * len(samples) / _SAMPLES:
            pids = {
                name.partition("-")[0]: pid
                for family in families
                for name, pid in family.pids.items()
            }
            samples.append({name: (done, _megabytes(pid)) for name, pid in pids.items()})
        if done >= sends:
            break
        if patience.passed:
            raise BenchmarkError(f"Only {done} sends in {_AT_MOST_SECONDS} seconds, not {sends}.")
    return samples


def _move(client: redis.Redis, customer: str) -> None:
    command = {
        "id": f"move-{customer}",
        "account": ACCOUNTS[0],
        "kind": "move_to_directory",
        "customers": [customer],
    }
    client.xadd(STREAM, {"command": json.dumps(command)})


def _megabytes(pid: int) -> float:
    """What a process holds in memory now."""
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise BenchmarkError(f"Process {pid} has ended.")


def _figure(samples: list[Sample], sends: int) -> Figure:
    """The slope after warming up, over all the sends."""
    growth, held = {}, {}
    for name in samples[0]:
        points = [sample[name] for sample in samples if sample[name][0] >= sends * _WARM_UP]
        slope = linear_regression([x for x, _ in points], [y for _, y in points]).slope
        growth[name] = slope * sends
        held[name] = mean(y for _, y in points)
    worst = max(growth, key=lambda name: growth[name])
    course = {
        name: [[sample[name][0], sample[name][1]] for sample in samples[:: len(samples) // 25 or 1]]
        for name in samples[0]
    }
    return Figure(
        growth[worst],
        "MB more",
        held[worst],
        growth[worst] / held[worst],
        "flat",
        {"sends": sends, "process": worst, "growth": growth, "course": course},
    )
