"""The columns of kvmstat as data: what each counts, and two sources for it.

The columns are those of illumos' kvmstat(1M). There they are counters of KVM, which Linux also
keeps for each vCPU. In kstats, a column has up to two sources and documents how they differ:

- **events**: exits by code and firings of tracepoints, which kstats counts itself;
- **stats**: the counters that KVM keeps (:mod:`kstats.collector.kvm_stats.reader`).

A column without a meaning on an architecture is printed as ``-`` and documents the reason.
"""

from collections.abc import Mapping
from typing import NamedTuple

COLUMNS = ("exits", "haltx", "irqx", "irqwx", "iox", "mmiox", "irqs", "emul", "eptv")
"""kvmstat's columns after ``pid`` and ``vcpu``, in their order."""


class Event(NamedTuple):
    """A tracepoint of group ``kvm``; each firing in the thread of a vCPU counts for that vCPU.

    With ``arg``, a firing counts only if this argument (from 0, as a raw tracepoint has them) is
    one of ``values``.
    """

    tracepoint: str
    arg: int | None = None
    values: frozenset[int] = frozenset()

    @property
    def label(self) -> str:
        """The name in samples: ``kvm_fast_mmio``, or ``kvm_mmio:0=1,2`` with an argument."""
        if self.arg is None:
            return self.tracepoint
        return f"{self.tracepoint}:{self.arg}={','.join(map(str, sorted(self.values)))}"


class Rule(NamedTuple):
    """One column on one ISA.

    Attributes:
        column: One of :data:`COLUMNS`.
        meaning: What it counts on this ISA, one line.
        every_exit: Whether it counts all exits.
        exits: The codes of the exits that it counts.
        events: The tracepoints that it counts, in addition to exits.
        not_counted: Why kstats counts nothing, one line; empty if it counts something.
        stats: The counters of KVM that it sums.
        not_kept: Why KVM keeps no such counter, one line; empty if it does.
        differs: How the two sources differ, one line; empty if they are equal.
    """

    column: str
    meaning: str
    every_exit: bool = False
    exits: frozenset[int] = frozenset()
    events: tuple[Event, ...] = ()
    not_counted: str = ""
    stats: tuple[str, ...] = ()
    not_kept: str = ""
    differs: str = ""

    @property
    def is_counted(self) -> bool:
        """Whether kstats can count it."""
        return self.every_exit or bool(self.exits or self.events)

    def counted(self, exits: Mapping[int, int], events: Mapping[str, int]) -> int | None:
        """Return the value for one vCPU from its exits by code and its events by label.

        None if the column, or one of its events, was not counted.
        """
        if not self.is_counted or any(event.label not in events for event in self.events):
            return None
        codes = exits.keys() if self.every_exit else self.exits & exits.keys()
        return sum(exits[code] for code in codes) + sum(events[e.label] for e in self.events)

    def look_up(self, stats: Mapping[str, int]) -> int | None:
        """Return the value for one vCPU from KVM's counters.

        None if KVM keeps no such counter, or this kernel lacks one of them.
        """
        if not self.stats or any(name not in stats for name in self.stats):
            return None
        return sum(stats[name] for name in self.stats)


def absent(column: str, why: str) -> Rule:
    """Return the rule of a column that has no meaning on an ISA."""
    return Rule(column, why, not_counted=why, not_kept=why)
