"""Add up consecutive samples: for the host, or for each of its CPUs or VMs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping
from typing import TypeAlias

import attrs

from kstats import arch as arches
from kstats.arch import categories
from kstats.arch.base import Category
from kstats.compare.quantiles import Quantiles
from kstats.counted import Sums, columns, cpu_of, thread_of
from kstats.errors import UnknownNameError
from kstats.model import Code, Sample
from kstats.views import losses

DROPPED_CODE: Code = ("", 0)
"""Stands for every exit with a dropped code: in no ISA, under ``other``."""

PartKey: TypeAlias = Hashable
"""Which part of a host: a CPU's number, a VM, None for all of it or for a VM that is unknown."""

Key: TypeAlias = Category | Code | None
"""What rates are of: a category, a reason, or all exits (None)."""

Exits: TypeAlias = dict[PartKey, dict[Code, int]]


@attrs.define(eq=False)
class Part:
    """The exits of a part of a host, in the samples in which it was present.

    Attributes:
        seconds: The total length of these samples.
        samples: The number of samples of more than zero seconds; each has a rate.
        vcpu_seconds: The vCPUs of each sample times its seconds; None if the samples do
            not contain vCPUs, or if it has no meaning (as for CPUs).
        exits: Exits by code.
        rates: Exits per second in each sample.
    """

    seconds: float = 0.0
    samples: int = 0
    vcpu_seconds: float | None = 0.0
    exits: Counter[Code] = attrs.field(factory=Counter)
    rates: defaultdict[Key, Quantiles] = attrs.field(factory=lambda: defaultdict(Quantiles))

    def add(self, seconds: float, vcpus: int | None, counts: Mapping[Key, int]) -> None:
        """Add the time of a sample and, if it is not zero, its rates."""
        self.seconds += seconds
        if vcpus is None or self.vcpu_seconds is None:
            self.vcpu_seconds = None
        else:
            self.vcpu_seconds += vcpus * seconds
        if seconds > 0:
            self.samples += 1
            for key, n in counts.items():
                self.rates[key].add(n / seconds)


class Aggregate:
    """Sums of the samples of one host."""

    def __init__(self, by: str | None = None, *, reasons: bool = False) -> None:
        """``by`` is ``cpu``, ``vm`` or None; with ``reasons``, each reason has rates, too."""
        self.by = by
        self.parts: dict[PartKey, Part] = {}
        self.arch = ""
        self.begin: float | None = None
        self.end: float | None = None
        self.cpus = 0
        self.losses: Counter[str] = Counter()
        self._reasons = reasons
        self._told: set[str] = set()
        self._category: dict[Code, Category] = {DROPPED_CODE: Category.OTHER}
        self._split = _SPLITS[by]
        self._adder = Sums(thread_of if by == "vm" else cpu_of)

    def add(self, sample: Sample) -> None:
        """Add one sample."""
        if not self.arch:
            self.begin = max(sample.time - sample.elapsed, 0.0)  # no host is older than the epoch
        self.arch, self.end = sample.arch, sample.time
        self._told.add(sample.isa)
        self.cpus = max(self.cpus, len(sample.cpus))
        self.losses.update(dict(losses.counts(sample)))
        vcpus = self._vcpus(sample)
        for key, exits in self._split(sample, self._adder).items():
            part = self.parts.setdefault(key, Part())
            part.exits.update(exits)
            own = None if vcpus is None else vcpus.get(key, 0)
            part.add(sample.elapsed, own, self._sums(exits))

    @property
    def isas(self) -> tuple[str, ...]:
        """The ISAs of the host and its exits; without any, those of the architecture."""
        seen = {isa for part in self.parts.values() for isa, _ in part.exits} | self._told
        return tuple(sorted(seen - {""} or self._own_isas()))

    def possible(self) -> frozenset[Category]:
        """Return the categories that exits of this host can have."""
        found = {self.category(code) for part in self.parts.values() for code in part.exits}
        for name in self.isas:
            try:
                found |= categories.possible(arches.isa(name))
            except UnknownNameError:  # of a backend that is not installed here
                continue
        return frozenset(found)

    def category(self, code: Code) -> Category:
        """Return the category of a code."""
        known = self._category.get(code)
        if known is None:
            known = self._category[code] = arches.reason(*code).category
        return known

    def _own_isas(self) -> set[str]:
        try:
            return {isa.name for isa in arches.find(self.arch).isas}
        except UnknownNameError:
            return set()

    def _sums(self, exits: Mapping[Code, int]) -> dict[Key, int]:
        sums: dict[Key, int] = {None: sum(exits.values())} if exits else {}
        for code, n in exits.items():
            category = self.category(code)
            sums[category] = sums.get(category, 0) + n
            if self._reasons:
                sums[code] = n
        return sums

    def _vcpus(self, sample: Sample) -> Mapping[PartKey, int] | None:
        """Return the number of vCPUs of each part; None if unknown, as without threads."""
        if self.by == "cpu" or (sample.exits and not sample.threads):
            return None
        if self.by == "vm":
            return Counter(thread.vm for thread in sample.threads.values())
        return {None: len(sample.threads)}


def _whole(sample: Sample, _: Sums[int]) -> Exits:
    sums = {code: sum(columns(exits)[1]) for code, exits in sample.exits.items()}
    exits = {code: n for code, n in sums.items() if n}
    return _with_dropped({None: exits}, None, sum(sample.code_dropped.values()))


def _by_cpu(sample: Sample, by_cpu: Sums[int]) -> Exits:
    parts: Exits = {cpu: {} for cpu in sample.cpus}
    for code, exits in sample.exits.items():
        for cpu, n in zip(*by_cpu.of(exits), strict=True):
            if n:  # latencies of all CPUs have none
                parts.setdefault(cpu, {})[code] = n
    for cpu, n in sample.code_dropped.items():
        _with_dropped(parts, cpu, n)
    return parts


def _by_vm(sample: Sample, by_thread: Sums[int]) -> Exits:
    parts: Exits = {thread.vm: {} for thread in sample.threads.values()}
    # Looked up by thread: the hash of a VM covers all its fields, which is slow.
    of_thread = {number: parts[thread.vm] for number, thread in sample.threads.items()}
    unknown: dict[Code, int] = {}
    for code, places in sample.exits.items():
        for number, n in zip(*by_thread.of(places), strict=True):
            if n:
                exits = of_thread.get(number, unknown)
                exits[code] = exits.get(code, 0) + n
    if unknown:
        parts[None] = unknown
    return _with_dropped(parts, None, sum(sample.code_dropped.values()))


def _with_dropped(parts: Exits, key: PartKey, n: int) -> Exits:
    if n:
        exits = parts.setdefault(key, {})
        exits[DROPPED_CODE] = exits.get(DROPPED_CODE, 0) + n
    return parts


_SPLITS: Mapping[str | None, Callable[[Sample, Sums[int]], Exits]] = {
    None: _whole,
    "cpu": _by_cpu,
    "vm": _by_vm,
}
PARTS = tuple(name for name in _SPLITS if name)
"""What a host can be split by."""
