"""What comparing and drawing a large host take: 256 busy CPUs, 20 reasons, a sample a second.

.venv/bin/python -m bench.pages [SECONDS]    (default 600; the whole day is 86400)

Reading the recording comes on top: :mod:`bench.recording`.
"""

from __future__ import annotations

import itertools
import resource
import sys
import time
from collections.abc import Callable, Iterable

import attrs
from tabulate import tabulate

from bench.recording import CPUS, DAY, REASONS, Host
from kstats.compare.aggregate import Aggregate
from kstats.meaning import counted_threads
from kstats.model import Sample
from kstats.report.gather import Gathered
from kstats.report.page import html
from kstats.vms.identity import Kind, Thread, Vm

SECONDS = 600
VMS = 64
BATCH = 50


def samples(seconds: int) -> Iterable[Sample]:
    """Return samples of a host with the vCPUs of several VMs."""
    threads: dict[int, Thread] = {}
    for sample in Host(by_thread=True).samples(seconds):
        for number in counted_threads(sample):
            if number not in threads:
                pid, tid = number >> 32, number & 0xFFFF_FFFF
                vm = Vm(pid % VMS, 1, Kind.QEMU, f"vm{pid % VMS}")
                threads = {**threads, number: Thread(tid, pid, 0, vm)}
        yield attrs.evolve(sample, threads=threads)


def spent(add: Callable[[Iterable[Sample]], None], seconds: int) -> float:
    """Processor seconds that ``add`` takes for so many samples, without making them."""
    total = 0.0
    made = iter(samples(seconds))
    while batch := list(itertools.islice(made, BATCH)):
        begun = time.process_time()
        add(batch)
        total += time.process_time() - begun
    return total


def adder(by: str | None = None, *, reasons: bool = False) -> Callable[[Iterable[Sample]], None]:
    """Return what adds samples up as ``kstats compare`` does."""
    of = Aggregate(by, reasons=reasons)

    def add(batch: Iterable[Sample]) -> None:
        for sample in batch:
            of.add(sample)

    return add


def main() -> None:
    """Prints the figures."""
    seconds = int(sys.argv[1]) if sys.argv[1:] else SECONDS
    gathered = Gathered("host", {})
    adding = {
        "compare": adder(),
        "compare --reasons": adder(reasons=True),
        "compare --by vm": adder("vm"),
        "compare --by cpu": adder("cpu"),
        "report": gathered.add,
    }
    rows = []
    for name, add in adding.items():
        each = spent(add, seconds) / seconds
        rows.append((f"kstats {name}", f"{each * 1e3:.2f} ms", f"{each * DAY / 60:.1f} min"))
    begun = time.process_time()
    page = html([gathered])
    drawing = time.process_time() - begun
    print(f"{CPUS} CPUs x {REASONS} reasons, {seconds} samples, without reading them")
    print(tabulate(rows, ("", "a sample", "a day"), tablefmt="plain"))
    print(f"drawing the page: {drawing:.1f} s; it has {len(page.encode()) / 1e6:.2f} MB")
    print(f"resident: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
