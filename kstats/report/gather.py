"""The data of one recording for the page, gathered in one pass and in limited memory."""

from __future__ import annotations

import heapq
import operator
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import attrs

from kstats import arch as arches
from kstats.arch.base import Category
from kstats.compare.aggregate import DROPPED_CODE, Aggregate
from kstats.compare.compare import DROPPED_CODE_NAME
from kstats.counted import Sums, cpu_of, thread_of
from kstats.escape import printable
from kstats.histogram import Histogram
from kstats.model import Code, Exits, Place, Sample, SlowExit, VcpuTime
from kstats.report import rows
from kstats.report.bins import Bins, Layer
from kstats.report.causes import Causes
from kstats.report.rows import CpuRows
from kstats.vms.identity import Thread, Vm

MOST_SLOW = 1000
"""Slow exits that are kept: the slowest."""

_MOST_DETAILS = 1 << 16
"""Details that are counted; beyond, the rarer half is given up."""

UNKNOWN_VM = 0
"""The number of the VM of threads that are not known."""


@attrs.define
class Latency:
    """Latencies that are added in place: adding histograms would copy them for every thread."""

    buckets: Counter[int] = attrs.field(factory=Counter)
    total: int = 0
    minimum: int = 0
    maximum: int = 0

    def add(self, more: Histogram | Latency) -> Latency:
        """Add others; return itself."""
        if more.buckets:
            self.minimum = min(self.minimum, more.minimum) if self.buckets else more.minimum
            self.maximum = max(self.maximum, more.maximum)
            self.total += more.total
            self.buckets.update(more.buckets)
        return self

    @property
    def histogram(self) -> Histogram:
        """The sum."""
        return Histogram(self.buckets, self.total, self.minimum, self.maximum)


@attrs.frozen
class Slow:
    """A slow exit, and the thread that it happened to if that is known."""

    exit: SlowExit
    thread: Thread | None


class Gathered:
    """A recording called ``label``, with ``facts`` about its host by their headings.

    Attributes:
        bins: The time. Every layer is by bin.
        causes: What makes VMs slow.
        codes: Layer of exits by code.
        highest: Layer of exits per second of the busiest sample, under the key None.
        peaks: Layer by category, and under None for all exits, of the maximum exits per second of a
            CPU in a sample, by row of ``rows``.
        latency: Layer of latencies by code.
        times: Layer of vCPU times by number of a VM.
        by_vm: Layer of exits by number of a VM.
        vms: The VM of each number; :data:`UNKNOWN_VM` is None.
        vm_codes: Exits by number of a VM, then by code.
        details: Exits by code and detail of kind ``detail``; None for dropped details.
        details_dropped: Exits whose details were too many to count.
        slow: The slowest of the ``slow_count`` slow exits, by time.
    """

    def __init__(self, label: str, facts: Mapping[str, str]) -> None:
        """Start without samples."""
        self.label = label
        self.facts = facts
        self.aggregate = Aggregate(reasons=True)
        self.notes: Counter[str] = Counter()
        self.bins = Bins()
        self.causes = Causes()
        self.rows = CpuRows()
        self.codes: Layer[Code, int] = self.bins.layer(operator.add)
        self.highest: Layer[None, float] = self.bins.layer(max)
        self.peaks: Layer[Category | None, array[float]] = self.bins.layer(rows.highest)
        self.latency: Layer[Code, Latency] = self.bins.layer(Latency.add)
        self.times: Layer[int, VcpuTime] = self.bins.layer(operator.add)
        self.by_vm: Layer[int, int] = self.bins.layer(operator.add)
        self.vms: list[Vm | None] = [None]
        self.vm_codes: dict[int, Counter[Code]] = {}
        self.detail = ""
        self.details: Counter[tuple[Code, int | None]] = Counter()
        self.details_dropped = 0
        self.slow_count = 0
        self._slowest: list[tuple[int, int, Slow]] = []
        self._threads: Mapping[int, Thread] = {}
        self._by_cpu, self._by_thread = Sums(cpu_of), Sums(thread_of)
        self._vm_of: defaultdict[int, int] = defaultdict(lambda: UNKNOWN_VM)
        self._numbers: dict[Vm, int] = {}

    def add(self, samples: Iterable[Sample]) -> None:
        """Add samples in their order."""
        for sample in samples:
            at = self.bins.add(sample)
            self.aggregate.add(sample)
            self.causes.add(sample)
            self.notes.update(sample.notes)
            self._see_threads(sample)
            self.rows.see(sample)
            self._add_exits(sample, at)
            self._add_times(sample, at)
            self._add_slow(sample)

    @property
    def exits(self) -> Counter[Code]:
        """All exits by code."""
        return self.aggregate.parts[None].exits if self.aggregate.parts else Counter()

    @property
    def slow(self) -> list[Slow]:
        """The slow exits that were kept, in the order of their ends."""
        return sorted((slow for _, _, slow in self._slowest), key=lambda slow: slow.exit.time)

    def category(self, code: Code) -> Category:
        """Return the category of a code."""
        return self.aggregate.category(code)

    def name(self, code: Code) -> str:
        """Return the name of a code; that of an unknown ISA may be anything, so it is escaped."""
        return DROPPED_CODE_NAME if code == DROPPED_CODE else printable(arches.reason(*code).name)

    def _see_threads(self, sample: Sample) -> None:
        # Sources make a new mapping only if threads change, which is rare.
        if sample.threads is self._threads:
            return
        self._threads = sample.threads
        # Numbers, because the hash of a VM covers all its fields, which is slow.
        numbers = {number: self._number(of.vm) for number, of in sample.threads.items()}
        self._vm_of = defaultdict(lambda: UNKNOWN_VM, numbers)
        for number in numbers.values():
            self.vm_codes.setdefault(number, Counter())

    def _number(self, vm: Vm) -> int:
        number = self._numbers.get(vm)
        if number is None:
            number = self._numbers[vm] = len(self.vms)
            self.vms.append(vm)
        return number

    def _add_exits(self, sample: Sample, at: int) -> None:
        by_cpu: dict[Category, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
        by_vm: Counter[int] = Counter()
        for code, places in sample.exits.items():
            _add(by_cpu[self.category(code)], self._by_cpu.of(places))
            vms: defaultdict[int, int] = defaultdict(int)
            threads, counts = self._by_thread.of(places)
            _add(vms, ([self._vm_of[thread] for thread in threads], counts))
            self.codes.add(code, at, sum(vms.values()))
            if sample.threads:
                by_vm.update(vms)
                for vm, n in vms.items():
                    if n:
                        self.vm_codes.setdefault(vm, Counter())[code] += n
            if sample.timed:
                self._add_latency(code, places, at)
            if sample.detail:
                self.detail = sample.detail
                self._by_detail(code, places)
        for cpu, n in sample.code_dropped.items():
            by_cpu[Category.OTHER][cpu] += n
            self.codes.add(DROPPED_CODE, at, n)
        for vm, n in by_vm.items():
            if n:
                self.by_vm.add(vm, at, n)
        self._add_peaks(by_cpu, sample.elapsed, at)

    def _add_peaks(
        self, by_cpu: Mapping[Category, Mapping[int, int]], seconds: float, at: int
    ) -> None:
        total: Counter[int] = Counter()
        placed: dict[Category | None, dict[int, int]] = {}
        for category, counts in by_cpu.items():
            placed[category] = {self.rows.place(cpu): n for cpu, n in counts.items() if n}
            total.update(placed[category])
        while self.rows.crowded():
            self.peaks.change(rows.joined)
        if seconds > 0:
            for key, of_places in {**placed, None: total}.items():
                self.peaks.add(key, at, self.rows.rates(of_places, seconds))
            self.highest.add(None, at, total.total() / seconds)

    def _add_latency(self, code: Code, places: Mapping[Place, Exits], at: int) -> None:
        sums = Latency()
        for exits in places.values():
            if exits.latency is not None:
                sums.add(exits.latency)
        if sums.buckets:
            self.latency.add(code, at, sums)

    def _by_detail(self, code: Code, places: Mapping[Place, Exits]) -> None:
        for (_, _, detail, _), exits in places.items():
            if detail is not None:
                self.details[code, detail] += exits.count
        if len(self.details) > _MOST_DETAILS:
            kept = self.details.most_common(_MOST_DETAILS // 2)
            self.details_dropped += self.details.total() - sum(n for _, n in kept)
            self.details = Counter(dict(kept))

    def _add_times(self, sample: Sample, at: int) -> None:
        for number, spent in (sample.vcpu_time or {}).items():
            self.times.add(self._vm_of[number], at, spent)

    def _add_slow(self, sample: Sample) -> None:
        for exit_ in sample.slow:
            self.slow_count += 1
            slow = Slow(exit_, sample.threads.get(exit_.place.thread))
            item = (exit_.duration, self.slow_count, slow)  # the count decides between equals
            if len(self._slowest) < MOST_SLOW:
                heapq.heappush(self._slowest, item)
            else:
                heapq.heappushpop(self._slowest, item)


def _add(sums: defaultdict[int, int], counts: tuple[Sequence[int], Sequence[int]]) -> None:
    """Add counts to sums by their keys."""
    for key, n in zip(*counts, strict=True):
        sums[key] += n
