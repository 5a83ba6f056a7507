"""What every source yields and every view takes: samples."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

import attrs

from kstats.vms.identity import Thread, Vcpu

Code: TypeAlias = tuple[str, int]
"""(isa, code) of an exit."""

Place: TypeAlias = tuple[int, int]
"""(cpu, thread) where exits happened.

A thread is the kernel's pid_tgid, ``pid << 32 | tid``; 0 where threads were not told apart.
"""


@attrs.frozen(eq=False)
class Sample:
    """What happened on a host between two moments.

    Attributes:
        arch: Name of the host's architecture.
        time: End of the sample, seconds since the epoch (UTC).
        elapsed: Seconds that really passed.
        cpus: The CPUs online at the end, ascending.
        entries: VM entries by CPU; a CPU without any may be missing.
        exits: VM exits by :data:`Code`, then by :data:`Place`; zero counts may be missing.
        lost: Exits by CPU that were counted but whose code found no room.
        foreign: Exits of an ISA that was not decoded; they are in no other figure.
        missed: Times the kernel skipped the program; each is an entry or exit not counted.
        threads: Who each thread of a :data:`Place` is; also vCPUs that did not exit.
        ended: Those of ``threads`` that had ended when the sample did.
        isa: The ISA that the host's KVM counts exits of; empty if that is not told.
        events: Firings of tracepoints by :attr:`kstats.arch.kvmstat.Event.label`, then by
            :data:`Place`; an event without a key was not counted.
        counters: By how much KVM's own counters of each vCPU grew, by the kernel's names; none
            where the VMM keeps them to itself. None if they were not read.
        notes: What people should know about this sample, a line each.
    """

    arch: str
    time: float
    elapsed: float
    cpus: tuple[int, ...]
    entries: Mapping[int, int]
    exits: Mapping[Code, Mapping[Place, int]]
    lost: Mapping[int, int] = attrs.field(factory=dict)
    foreign: int = 0
    missed: int = 0
    threads: Mapping[int, Thread] = attrs.field(factory=dict)
    ended: frozenset[int] = frozenset()
    isa: str = ""
    events: Mapping[str, Mapping[Place, int]] = attrs.field(factory=dict)
    counters: Mapping[Vcpu, Mapping[str, int]] | None = None
    notes: tuple[str, ...] = ()

    @property
    def timestamp(self) -> str:
        """The end of the sample as UTC ISO 8601 with milliseconds: ``2026-01-31T12:00:00.000Z``."""
        moment = datetime.fromtimestamp(self.time, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
