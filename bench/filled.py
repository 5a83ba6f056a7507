"""A full map of threads' counters: 32 vCPUs that have run on each of 640 CPUs, five reasons each.

The map is really in the kernel, and really read from it.
"""

from __future__ import annotations

import io
import os
import statistics
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from kstats import arch as arches
from kstats.collector.shares import EVERYONE, Hash, Share
from kstats.collector.threads import ExitsByThread
from kstats.filters import ThreadFilter
from kstats.loader.records import COUNT
from kstats.model import Sample
from kstats.render.text import TextRenderer
from kstats.views.exits import ExitsView, Options
from kstats.views.kvmexit import KvmexitView
from tests.collector import kernel
from tests.collector.native import target
from tests.collector.readings import between

VCPUS, CPUS, REASONS = 32, 640, 5
COUNTERS = VCPUS * CPUS * REASONS
ROOM = 1 << 18
RUNS = 5

_T = TypeVar("_T")


def figures() -> dict[str, float]:
    """Milliseconds of CPU of each step from the kernel's map to the screen, medians."""
    machine = target()
    layout = machine.layout()._replace(arch="x64", isa="svm")
    exits = ExitsByThread.sized(ThreadFilter(), ROOM)
    with machine.load((exits,), attach=False) as loaded:
        reader = exits.reader(loaded, layout)
        before = reader()
        with _threads() as threads:
            kernel.fill(loaded.maps["more_threads"], *_entries(threads))
            all_of_them = Share()
            all_of_them.added[Hash.THREADS] = COUNTERS
            loaded.maps["shares"].put(COUNT.pack(EVERYONE), bytes(all_of_them))
            read, now = timed(reader)
    cpus = tuple(range(CPUS))
    taken, sample = timed(lambda: between((exits, before, now), layout=layout, online=cpus))
    if sum(map(len, sample.exits.values())) != COUNTERS:
        raise RuntimeError("the map does not hold what was put into it")
    return {
        "reading them from the kernel": read,
        "difference of two readings": taken,
        "kvmexit": _shown(lambda: KvmexitView(("pid", "tid", "reason")), sample),
        "by vm, vcpu, reason": _shown(ExitsView, sample),
        "by cpu, tid, reason": _shown(
            lambda: ExitsView(Options(by=("cpu", "tid", "reason"))), sample
        ),
    }


@contextmanager
def _threads() -> Iterator[list[int]]:
    """Start a thread for each vCPU: entries of threads that do not exist are freed."""
    stop = threading.Event()
    started = [threading.Thread(target=stop.wait) for _ in range(VCPUS)]
    for thread in started:
        thread.start()
    try:
        yield [thread.native_id or 0 for thread in started]
    finally:
        stop.set()
        for thread in started:
            thread.join()


def _entries(threads: Sequence[int]) -> tuple[bytes, bytes]:
    """Keys (thread, code, CPU) and counts."""
    pid = os.getpid()
    source = next(source for source in arches.find("x64").sources if source.isa == "svm")
    codes = [slots.first for slots in source.slots][:REASONS]
    keys = b"".join(
        struct.pack("=QQQ", pid << 32 | tid, code, cpu)
        for tid in threads
        for cpu in range(CPUS)
        for code in codes
    )
    return keys, struct.pack("=Q", 1_000_003) * COUNTERS


def _shown(view: Callable[[], ExitsView | KvmexitView], sample: Sample) -> float:
    """Milliseconds from a sample to text."""
    return timed(lambda: TextRenderer(io.StringIO()).write(view().table(sample)))[0]


def timed(call: Callable[[], _T], runs: int = RUNS) -> tuple[float, _T]:
    """Milliseconds of CPU that a call takes, the median, and what it gives."""
    times = []
    for _ in range(runs):
        begun = time.process_time()
        result = call()
        times.append(time.process_time() - begun)
    return statistics.median(times) * 1e3, result


def rows() -> Iterator[tuple[str, str]]:
    """The figures for people."""
    for name, ms in figures().items():
        yield f"{COUNTERS} counters, {VCPUS} vCPUs on {CPUS} CPUs: {name}", f"{ms:.0f} ms"


if __name__ == "__main__":
    for row in rows():
        print(*row)
