"""kvmstat's columns as data: what each counts, and where each of two sources has it from.

The columns are those of illumos' kvmstat(1M). There they are counters of KVM that Linux still
keeps for every vCPU; here a column has up to two sources, and says where they differ:

- **events**: what kstats counts itself, exits by their codes and firings of tracepoints;
- **stats**: the counters KVM keeps (:mod:`kstats.collector.kvm_stats.reader`).

A column without a meaning on an architecture is drawn as ``-`` and says why.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

COLUMNS = ("exits", "haltx", "irqx", "irqwx", "iox", "mmiox", "irqs", "emul", "eptv")
"""kvmstat's columns after ``pid`` and ``vcpu``, in their order."""


@attrs.frozen
class Event:
    """A tracepoint of group ``kvm``; each firing in a vCPU's thread is one of that vCPU.

    Where ``arg`` is given, only firings count whose argument of that number (from 0, as a raw
    tracepoint has them) is one of ``values``.
    """

    tracepoint: str
    arg: int | None = None
    values: frozenset[int] = frozenset()

    @property
    def label(self) -> str:
        """Its name in samples: ``kvm_fast_mmio``, or ``kvm_mmio:0=1,2`` with an argument."""
        if self.arg is None:
            return self.tracepoint
        return f"{self.tracepoint}:{self.arg}={','.join(map(str, sorted(self.values)))}"


@attrs.frozen
class Rule:
    """One column on one ISA.

    Attributes:
        column: One of :data:`COLUMNS`.
        meaning: What it counts here, one line.
        every_exit: Counted are all exits.
        exits: Counted are exits of these codes of the ISA.
        events: Counted, beside exits, are firings of these tracepoints.
        uncounted: Why nothing is counted, one line; empty where something is.
        stats: KVM's counters whose sum it is.
        unkept: Why KVM keeps no such counter, one line; empty where it does.
        differs: How the two sources differ, one line; empty where they are equal.
    """

    column: str
    meaning: str
    every_exit: bool = False
    exits: frozenset[int] = frozenset()
    events: tuple[Event, ...] = ()
    uncounted: str = ""
    stats: tuple[str, ...] = ()
    unkept: str = ""
    differs: str = ""

    @property
    def is_counted(self) -> bool:
        """Whether kstats can count it."""
        return self.every_exit or bool(self.exits or self.events)

    def count(self, exits: Mapping[int, int], events: Mapping[str, int]) -> int | None:
        """The column of one vCPU from its exits by code and its events by label.

        None is ``-``: it is not counted, or one of its events was not.
        """
        if not self.is_counted or any(event.label not in events for event in self.events):
            return None
        codes = exits.keys() if self.every_exit else self.exits & exits.keys()
        return sum(exits[code] for code in codes) + sum(events[e.label] for e in self.events)

    def look_up(self, stats: Mapping[str, int]) -> int | None:
        """The column of one vCPU from KVM's counters of it.

        None is ``-``: KVM keeps none, or this kernel's lacks one of them.
        """
        if not self.stats or any(name not in stats for name in self.stats):
            return None
        return sum(stats[name] for name in self.stats)


def absent(column: str, why: str) -> Rule:
    """A column that means nothing on an ISA: ``-`` from both sources."""
    return Rule(column, why, uncounted=why, unkept=why)
