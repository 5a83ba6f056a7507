"""Slow exits: reported through a ring buffer up to a rate limit; the others are counted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest

from kstats.collector.latency import Latency
from kstats.collector.live import Collector
from kstats.collector.percpu import Entries
from kstats.collector.slow_exits import SlowExits
from kstats.collector.threads import ExitsByThread
from kstats.filters import ThreadFilter
from tests.collector import kernel
from tests.collector.native import target

pytestmark = pytest.mark.root

MS = 10**6


@pytest.fixture
def limited(_on_cpu_0: None) -> Iterator[Callable[..., Collector]]:
    """Makes collectors of this process on CPU 0, and closes them at the end."""
    made: list[Collector] = []

    def make(threshold: int, *, rate: int = 1000, pages: int = 1) -> Collector:
        machine = target()
        slow = SlowExits(threshold, rate, pages)
        exits = ExitsByThread(ThreadFilter(pids=frozenset({os.getpid()})))
        made.append(Collector(machine, (slow, Latency(), Entries(), exits)))
        return made[-1]

    yield make
    for collector in made:
        collector.close()


def exit_of(collector: Collector, code: int, seconds: float = 0) -> None:
    """An exit of this thread that takes so long at least."""
    kernel.fire_here(collector.loaded.programs["on_exit"], 0, code)
    time.sleep(seconds)
    kernel.fire_here(collector.loaded.programs["on_entry"])


def test_exits_beyond_the_threshold_are_reported_one_by_one(
    limited: Callable[..., Collector],
) -> None:
    collector = limited(5 * MS)
    began = time.time()
    for code, seconds in ((1, 0.006), (2, 0), (3, 0.008)):
        exit_of(collector, code, seconds)
    sample = collector.sample()
    by_code = {exit_.code[1]: exit_ for exit_ in sample.slow}
    assert {1, 3} <= by_code.keys()  # on a busy machine, anything can take long
    assert by_code[1].duration >= 6 * MS
    assert by_code[3].duration >= 8 * MS
    assert began <= by_code[1].time <= by_code[3].time <= time.time()
    assert {exit_.place[0] for exit_ in sample.slow} == {0}
    assert sample.slow_dropped == 0
    assert collector.sample().slow == ()


def test_the_ring_goes_round_without_tearing_records(limited: Callable[..., Collector]) -> None:
    """A page holds 85 of them: ten rounds, read now and then."""
    collector = limited(1, rate=10**6)
    seen: list[int] = []
    for code in range(850):
        exit_of(collector, code)
        if code % 80 == 79:
            seen += [exit_.code[1] for exit_ in collector.sample().slow]
    seen += [exit_.code[1] for exit_ in collector.sample().slow]
    assert seen == list(range(850))


@pytest.mark.parametrize(("rate", "most"), [(10, 10), (10**6, 85)])
def test_exits_beyond_the_rate_limit_are_counted(
    limited: Callable[..., Collector], rate: int, most: int
) -> None:
    collector = limited(1, rate=rate)
    began = time.monotonic()
    for code in range(500):
        exit_of(collector, code)
    sample = collector.sample()
    assert len(sample.slow) + sample.slow_dropped == 500
    assert 0 < len(sample.slow) <= most * (1 + time.monotonic() - began)
