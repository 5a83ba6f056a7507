"""Frames: what a sample says about the part of the host that is looked at.

The views of :mod:`kstats.views` make a table by any axes. A frame has the sums by CPU, vCPU and
code that all screens need from one pass over the sample, because a screen is drawn every second.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

import attrs

from kstats import arch as arches
from kstats.arch.base import Category, Reason
from kstats.histogram import Histogram
from kstats.model import Code, Exits, Place, Sample, VcpuTime
from kstats.vms.identity import Vm

NO_CODE: Code = ("", 0)
"""The code of exits with a dropped code."""

_NO_REASON = Reason(0, "?", meaning="the code of these exits was dropped")


@attrs.frozen
class Scope:
    """The part of the host that is looked at. What is None selects all.

    Attributes:
        cpu: Exits on this physical CPU.
        vm: Exits of this VM.
        thread: Exits of this vCPU, by its pid_tgid.
        code: Exits with this code.
    """

    cpu: int | None = None
    vm: Vm | None = None
    thread: int | None = None
    code: Code | None = None

    def threads(self, sample: Sample) -> frozenset[int] | None:
        """Return the selected threads of a sample; None for all."""
        if self.thread is not None:
            return frozenset({self.thread})
        if self.vm is None:
            return None
        return frozenset(n for n, thread in sample.threads.items() if thread.vm == self.vm)


@attrs.define(eq=False)
class Sums:
    """Sums of exits and their latencies; cheaper to add to than :class:`kstats.model.Exits`."""

    count: int = 0
    buckets: dict[int, int] = attrs.field(factory=dict)
    total: int = 0
    minimum: int = 0
    maximum: int = 0

    def add(self, exits: Exits) -> None:
        """Add exits."""
        self.count += exits.count
        if exits.latency is not None:
            self.add_latency(exits.latency)

    def add_latency(self, latency: Histogram) -> None:
        """Add a histogram."""
        self.minimum = min(self.minimum, latency.minimum) if self.buckets else latency.minimum
        self.maximum = max(self.maximum, latency.maximum)
        self.total += latency.total
        for bucket, n in latency.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + n

    @property
    def latency(self) -> Histogram | None:
        """The latencies; None if no exit was timed."""
        if not self.buckets:
            return None
        return Histogram(self.buckets, self.total, self.minimum, self.maximum)


@attrs.frozen(eq=False, slots=False)
class Frame:
    """The exits of a sample in a scope.

    Attributes:
        sample: The sample.
        scope: The scope.
        total: The exits.
        threads: The exits of each thread; thread 0 has those without a thread.
        placed: By code, the exits of each thread.
        codes: By code, the exits.
        details: By code and detail, the exits; None is a dropped detail.
    """

    sample: Sample
    scope: Scope
    total: int
    threads: Mapping[int, int]
    placed: Mapping[Code, Mapping[int, int]]
    codes: Mapping[Code, Sums]
    details: Mapping[Code, Mapping[int | None, Sums]]

    @property
    def elapsed(self) -> float:
        """The seconds of the sample, never 0."""
        return self.sample.elapsed or 1.0

    @classmethod
    def of(cls, sample: Sample, scope: Scope | None = None) -> Frame:
        """Sum up a sample."""
        scope = scope or Scope()
        made = _Adder(sample, scope)
        for code, places in sample.exits.items():
            if scope.code is None or scope.code == code:
                made.add(code, places)
        if scope.vm is None and scope.thread is None and scope.code in (None, NO_CODE):
            made.add_dropped(sample.code_dropped)
        codes = {code: sums for code, sums in made.codes.items() if sums.count or sums.buckets}
        total = sum(sums.count for sums in codes.values())
        return cls(sample, scope, total, made.threads, made.placed, codes, made.details)

    @functools.cached_property
    def cpus(self) -> Mapping[int, Mapping[Category, int]]:
        """By CPU, the exits by category; every online CPU is there. Summed up when it is shown."""
        found: dict[int, dict[Category, int]] = {cpu: {} for cpu in self.sample.cpus}
        wanted, only = self.scope.threads(self.sample), self.scope.cpu
        for code in self.codes:
            by_cpu: dict[int, int] = {}
            for (cpu, thread, _, _), exits in self.sample.exits.get(code, {}).items():
                if (wanted is None or thread in wanted) and only in (None, cpu):
                    by_cpu[cpu] = by_cpu.get(cpu, 0) + exits.count
            if code == NO_CODE:
                by_cpu = {c: n for c, n in self.sample.code_dropped.items() if only in (None, c)}
            category = reason(code).category
            for cpu, n in by_cpu.items():
                if n:
                    row = found.setdefault(cpu, {})
                    row[category] = row.get(category, 0) + n
        return found

    def by_code(self, threads: Iterable[int]) -> dict[Code, int]:
        """Return the exits of some threads by code."""
        known = tuple(threads)
        sums = {
            code: sum(of[thread] for thread in known if thread in of)
            for code, of in self.placed.items()
        }
        return {code: n for code, n in sums.items() if n}

    def vcpu_time(self, threads: Iterable[int]) -> VcpuTime | None:
        """Return the vCPU time of threads; None if it was not measured."""
        measured = self.sample.vcpu_time or {}
        known = [measured[thread] for thread in threads if thread in measured]
        return sum(known[1:], known[0]) if known else None


class _Adder:
    """Adds up the exits of one sample; its attributes are those of the frame."""

    def __init__(self, sample: Sample, scope: Scope) -> None:
        self._threads = scope.threads(sample)
        self._cpu = scope.cpu
        self._detail = sample.detail
        self.threads: dict[int, int] = {}
        self.placed: dict[Code, dict[int, int]] = {}
        self.codes: dict[Code, Sums] = {}
        self.details: dict[Code, dict[int | None, Sums]] = {}

    def add(self, code: Code, places: Mapping[Place, Exits]) -> None:
        """Add the exits with a code."""
        by_thread = self.placed[code] = {}
        sums = self.codes[code] = Sums()
        details = self._details_of(code)
        threads, only = self._threads, self._cpu
        for (cpu, thread, detail, _), exits in places.items():
            if (threads is not None and thread not in threads) or (only not in (None, cpu)):
                continue
            by_thread[thread] = by_thread.get(thread, 0) + exits.count
            if exits.latency is not None:
                sums.add_latency(exits.latency)
            if details is not None:
                details.setdefault(detail, Sums()).add(exits)
        sums.count = sum(by_thread.values())
        totals = self.threads
        for thread, n in by_thread.items():
            totals[thread] = totals.get(thread, 0) + n

    def add_dropped(self, by_cpu: Mapping[int, int]) -> None:
        """Add exits with a dropped code, of which only the CPU is known."""
        total = sum(n for cpu, n in by_cpu.items() if self._cpu in (None, cpu))
        if total:
            self.codes[NO_CODE] = Sums(total)
            self.placed[NO_CODE] = {0: total}
            self.threads[0] = self.threads.get(0, 0) + total

    def _details_of(self, code: Code) -> dict[int | None, Sums] | None:
        """Return where to add details; None if exits with this code carry none that is counted."""
        kind = arches.detail(code[0], self._detail) if self._detail else None
        return self.details.setdefault(code, {}) if kind and code[1] in kind.codes else None


def reason(code: Code) -> Reason:
    """Return the reason of a code."""
    return _NO_REASON if code == NO_CODE else _reason(code)


@functools.lru_cache(maxsize=4096)
def _reason(code: Code) -> Reason:
    return arches.reason(*code)


def dominant(by_code: Mapping[Code, int]) -> Code | None:
    """Return the code with the most exits."""
    return max(by_code, key=lambda code: (by_code[code], code), default=None)
