"""The memory of reports and comparisons does not grow with the length of a recording."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterable, Iterator

import attrs
import pytest

from kstats.compare.aggregate import Aggregate
from kstats.model import Sample
from kstats.report.gather import Gathered
from kstats.vms.identity import Kind, Thread, Vm
from tests.views.hosts import happened, number

SHORT, LONG = 520, 4160
"""Samples: more than the bins of a report, which then has the same number of bins for both."""

REFERENCE = 8
"""Bytes of a reference, the smallest thing that can be kept of each sample."""

PEAK = 1.25
"""How many times as much memory may be in use in between: objects in cycles stay for a while."""

PERIOD = 61
"""Samples after which the same ones come again: new values would be new quantiles."""

CODES = [("vmx", 12), ("vmx", 48)]
THREADS = {
    number(pid + 1, pid): Thread(pid + 1, pid, 0, Vm(pid, 1, Kind.QEMU, f"vm{pid}"))
    for pid in (1000, 2000)
}

Add = Callable[[Iterable[Sample]], None]


def stream(length: int) -> Iterator[Sample]:
    """Yield a sample a second. All counts are too large for the small numbers Python shares."""
    made = [
        happened(
            {code: dict.fromkeys(enumerate(THREADS), 1000 + second) for code in CODES},
            THREADS,
            cpus=(0, 1),
        )
        for second in range(PERIOD)
    ]
    for second in range(length):
        yield attrs.evolve(made[second % PERIOD], time=1.7e9 + second, elapsed=1.0)


def comparing(by: str | None) -> Callable[[], Add]:
    """Return what begins a comparison by parts of a host."""

    def begin() -> Add:
        aggregate = Aggregate(by, reasons=True)

        def add(samples: Iterable[Sample]) -> None:
            for sample in samples:
                aggregate.add(sample)

        return add

    return begin


def memory(begin: Callable[[], Add], length: int) -> tuple[int, int]:
    """Return the bytes in use after so many samples, and the most in between."""
    gc.collect()
    tracemalloc.start()
    add = begin()
    add(stream(length))
    gc.collect()
    found = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return found


KINDS = {
    "compare": comparing(None),
    "compare --by cpu": comparing("cpu"),
    "compare --by vm": comparing("vm"),
    "report": lambda: Gathered("host", {}).add,
}


@pytest.mark.parametrize("kind", KINDS)
def test_memory_does_not_grow_with_the_recording(kind: str) -> None:
    memory(KINDS[kind], 10)  # what is cached once
    short, long = (memory(KINDS[kind], length) for length in (SHORT, LONG))
    assert long[0] - short[0] < REFERENCE * (LONG - SHORT)
    assert long[1] < PEAK * short[1]
