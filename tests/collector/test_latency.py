"""Latencies: two readings' difference, and what the kernel keeps of exits fired by hand."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kstats.collector.latency import Latency, LatencyKey, PowerLatency, Reading
from kstats.collector.live import Collector
from kstats.collector.percpu import Entries
from kstats.collector.threads import ExitsByThread
from kstats.histogram import SUB_BUCKETS, Histogram, bounds, bucket_of
from kstats.model import Exits, Place, Sample
from tests.collector import kernel, readings
from tests.collector.native import target
from tests.collector.readings import ME

ONE = ("native", 1)
SHORT = 0.003  # seconds


def snapshot(*values: int) -> Reading:
    """The totals after exits for code 1 that took so many nanoseconds."""
    powers: dict[bytes, PowerLatency] = {}
    for value in values:
        power, sub = divmod(bucket_of(value), SUB_BUCKETS)
        key = bytes(LatencyKey(thread=ME, code=1, cpu=2**32 - 1, power=power))
        row = powers.setdefault(key, PowerLatency(minimum=2**64 - 1))
        row.buckets[sub] += 1
        row.total += value
        row.minimum, row.maximum = min(row.minimum, value), max(row.maximum, value)
    return Reading({key: bytes(row) for key, row in powers.items()}, 0)


def between(before: Reading, now: Reading) -> Histogram:
    """The latencies of code 1 between two snapshots."""
    sample = readings.between((Latency(), before, now))
    assert sample.timed
    return sample.exits.get(ONE, {}).get(Place(-1, ME), Exits()).latency or Histogram()


def test_the_first_sample_has_every_value_exactly() -> None:
    values = (5, 1000, 1001, 70_000)
    assert between(snapshot(), snapshot(*values)) == Histogram.of(values)


def test_a_later_sample_has_what_was_added() -> None:
    got = between(snapshot(1000, 3000), snapshot(1000, 3000, 999, 4000))
    assert got == Histogram.of((999, 4000))


def test_extremes_that_may_be_older_are_the_bounds_of_what_was_added() -> None:
    """The kernel keeps the smallest and the largest since the beginning."""
    got = between(snapshot(1024, 2047), snapshot(1024, 2047, 1500))
    low, high = bounds(bucket_of(1500))
    assert (got.count, got.total, got.minimum, got.maximum) == (1, 1500, low, high)


def test_without_exits_there_is_nothing() -> None:
    assert between(snapshot(1000), snapshot(1000)) == Histogram()


@pytest.fixture
def measure(_on_cpu_0: None) -> Iterator[Callable[..., Collector]]:
    """Makes collectors on CPU 0, and closes them at the end."""
    made: list[Collector] = []

    def make(*, by_cpu: bool = False, latencies: int = 64) -> Collector:
        machine = target()
        timed = Latency(by_cpu=by_cpu, latencies=latencies)
        made.append(Collector(machine, (timed, Entries(), ExitsByThread())))
        return made[-1]

    yield make
    for collector in made:
        collector.close()


def leave(collector: Collector, code: int = 1) -> None:
    """An exit of this thread."""
    kernel.fire_here(collector.loaded.programs["on_exit"], 0, code)


def enter(collector: Collector) -> None:
    """An entry of this thread."""
    kernel.fire_here(collector.loaded.programs["on_entry"])


def exits(sample: Sample, code: int = 1) -> int:
    """How many exits for a code a sample has."""
    return sum(e.count for e in sample.exits.get(("native", code), {}).values())


def timed(sample: Sample, code: int = 1) -> Histogram:
    """The latencies for a code, of all places."""
    assert sample.timed
    of_code = sample.exits.get(("native", code), {}).values()
    return sum((e.latency for e in of_code if e.latency), Histogram())


def round_trip(collector: Collector, code: int = 1) -> range:
    """Fire an exit and an entry; return the least and the most nanoseconds between them."""
    outside = time.monotonic_ns()
    leave(collector, code)
    inside = time.monotonic_ns()
    time.sleep(SHORT)
    least = time.monotonic_ns() - inside
    enter(collector)
    return range(least, time.monotonic_ns() - outside)


@pytest.mark.root
def test_exits_take_as_long_as_they_take(measure: Callable[..., Collector]) -> None:
    collector = measure()
    ranges = [round_trip(collector) for _ in range(7)]
    other = round_trip(collector, 99)
    sample = collector.sample()
    latency = timed(sample)
    assert (exits(sample), latency.count, sample.latency_dropped) == (7, 7, 0)
    assert sum(r.start for r in ranges) <= latency.total <= sum(r.stop for r in ranges)
    assert min(r.start for r in ranges) <= latency.minimum
    assert latency.maximum <= max(r.stop for r in ranges)
    for bucket in latency.buckets:
        low, high = bounds(bucket)
        assert any(low <= r.stop and r.start <= high for r in ranges)
    assert timed(sample, 99).minimum == timed(sample, 99).maximum == timed(sample, 99).total
    assert timed(sample, 99).total in other


@pytest.mark.root
def test_an_exit_is_counted_when_it_happens_and_timed_when_it_ends(
    measure: Callable[..., Collector],
) -> None:
    collector = measure()
    outside = time.monotonic_ns()
    leave(collector)
    inside = time.monotonic_ns()
    first = collector.sample()
    assert (exits(first), timed(first).count) == (1, 0)
    least = time.monotonic_ns() - inside
    enter(collector)
    second = collector.sample()
    assert (exits(second), timed(second).count) == (0, 1)
    assert least <= timed(second).total < time.monotonic_ns() - outside


@pytest.mark.root
@pytest.mark.parametrize("by_cpu", [False, True])
def test_a_thread_that_moves_meanwhile_is_timed_where_it_left(
    measure: Callable[..., Collector], *, by_cpu: bool
) -> None:
    collector = measure(by_cpu=by_cpu)
    first, *_, last = collector.target.host.online_cpus()
    os.sched_setaffinity(0, {first})
    leave(collector)
    os.sched_setaffinity(0, {last})
    enter(collector)
    sample = collector.sample()
    me = os.getpid() << 32 | threading.get_native_id()
    assert {place for place, e in sample.exits[ONE].items() if e.latency} == {
        Place(first if by_cpu else -1, me)
    }


@pytest.mark.root
def test_an_exit_whose_end_is_not_seen_is_counted_and_said(
    measure: Callable[..., Collector],
) -> None:
    collector = measure()
    leave(collector)
    leave(collector)
    enter(collector)
    enter(collector)
    sample = collector.sample()
    assert (exits(sample), timed(sample).count, sample.latency_dropped) == (2, 1, 1)


@pytest.mark.root
def test_what_finds_no_room_is_counted_and_said(measure: Callable[..., Collector]) -> None:
    collector = measure(latencies=1)
    for code in range(5):
        leave(collector, code)
        enter(collector)
    sample = collector.sample()
    assert sum(exits(sample, code) for code in range(5)) == 5
    assert sum(timed(sample, code).count for code in range(5)) + sample.latency_dropped == 5
    assert sample.latency_dropped >= 1


@pytest.mark.root
def test_a_thread_that_ends_makes_room_once_it_was_told(measure: Callable[..., Collector]) -> None:
    collector = measure(latencies=8)
    counted = 0
    for _ in range(20):
        others: list[int] = []

        def run(others: list[int] = others) -> None:
            others.append(threading.get_native_id())
            leave(collector)
            enter(collector)

        worker = threading.Thread(target=run)
        worker.start()
        worker.join()
        while Path(f"/proc/self/task/{others[0]}").exists():  # the kernel needs a moment longer
            time.sleep(0.001)
        sample = collector.sample()
        counted += timed(sample).count
        assert sample.latency_dropped == 0
    assert counted == 20
    assert [m for m in ("latencies", "open_exits") if collector.loaded.maps[m].items()] == []
