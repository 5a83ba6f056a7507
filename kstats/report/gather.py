"""The data of one recording for the page, gathered in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from kstats import arch as arches
from kstats.arch.base import Category
from kstats.compare.aggregate import DROPPED_CODE, Aggregate
from kstats.compare.compare import DROPPED_CODE_NAME
from kstats.model import Code, Sample
from kstats.report.timeline import Timeline
from kstats.views.exits import UNKNOWN, names_of
from kstats.vms.identity import Thread, Vm

MOST_ROWS = 25
"""Of a ranking; one more has the sum of the others."""

OTHERS = "(others)"


@attrs.frozen
class Rank:
    """A row of a ranking; ``parts`` are the exits by category, largest first."""

    name: str
    detail: str
    count: int
    parts: tuple[tuple[Category, int], ...] = ()


class Gathered:
    """A recording called ``label``, with ``facts`` about its host by their headings."""

    def __init__(self, label: str, facts: Mapping[str, str]) -> None:
        """Start without samples."""
        self.label = label
        self.facts = facts
        self.aggregate = Aggregate(reasons=True)
        self.timeline: Timeline | None = None
        self.notes: Counter[str] = Counter()
        self._vms: dict[Vm | None, Counter[Code]] = {}
        self._threads: Mapping[int, Thread] = {}
        self._pending: dict[Code, dict[int, int]] = {}

    def add(self, samples: Iterable[Sample]) -> None:
        """Add samples in their order."""
        for sample in samples:
            self.timeline = self.timeline or Timeline(sample.arch)
            self.timeline.add(sample)
            self.aggregate.add(sample)
            self.notes.update(sample.notes)
            if sample.threads:
                self._add_vms(sample)
        self._settle()

    @property
    def exits(self) -> Counter[Code]:
        """All exits by code."""
        return self.aggregate.parts[None].exits if self.aggregate.parts else Counter()

    def reasons(self) -> list[Rank]:
        """Return the reasons, most frequent first."""
        ranks = []
        for code, n in self.exits.most_common():
            reason = arches.reason(*code)
            name = DROPPED_CODE_NAME if code == DROPPED_CODE else reason.name
            ranks.append(Rank(name, reason.meaning, n, ((self.aggregate.category(code), n),)))
        return _cut(ranks)

    def vms(self) -> list[Rank]:
        """Return the VMs, most exits first; empty if they were not recorded."""
        names: dict[Vm | None, str] = {None: UNKNOWN}
        names.update(names_of(vm for vm in self._vms if vm).items())
        ranks = []
        for vm, exits in self._vms.items():
            top = [arches.reason(*code).name for code, _ in exits.most_common(3)]
            ranks.append(Rank(names[vm], ", ".join(top), exits.total(), self._parts(exits)))
        return _cut(sorted(ranks, key=lambda rank: -rank.count))

    def _add_vms(self, sample: Sample) -> None:
        # Sources make a new mapping only if threads change, which is rare.
        if sample.threads is not self._threads:
            self._settle()
            self._threads = sample.threads
        for code, places in sample.exits.items():
            counts = self._pending.setdefault(code, {})
            for (_, number, _), exits in places.items():
                counts[number] = counts.get(number, 0) + exits.count

    def _settle(self) -> None:
        """Convert exits by thread to exits by VM, because thread numbers can be reused."""
        for thread in self._threads.values():
            self._vms.setdefault(thread.vm, Counter())
        for code, counts in self._pending.items():
            for number, n in counts.items():
                known = self._threads.get(number)
                self._vms.setdefault(known.vm if known else None, Counter())[code] += n
        self._pending = {}

    def _parts(self, exits: Mapping[Code, int]) -> tuple[tuple[Category, int], ...]:
        parts: Counter[Category] = Counter()
        for code, n in exits.items():
            parts[self.aggregate.category(code)] += n
        return tuple((category, n) for category, n in parts.most_common() if n)


def _cut(ranks: list[Rank]) -> list[Rank]:
    shown, rest = ranks[:MOST_ROWS], ranks[MOST_ROWS:]
    if not rest:
        return shown
    parts: Counter[Category] = Counter()
    for rank in rest:
        parts.update(dict(rank.parts))
    others = Rank(OTHERS, f"{len(rest)} more", parts.total(), tuple(parts.most_common()))
    return [*shown, others]
