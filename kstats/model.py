"""What every source yields and every view takes: samples."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

import attrs

from kstats.histogram import Histogram
from kstats.topology import CpuTopology
from kstats.vms.identity import Thread, Vcpu

Code: TypeAlias = tuple[str, int]
"""(isa, code) of an exit."""

Place: TypeAlias = tuple[int, int]
"""(cpu, thread) where exits happened.

A thread is the kernel's pid_tgid, ``pid << 32 | tid``; 0 where threads were not told apart, and
its high half 0 where only the process is unknown. CPU is -1 where CPUs were not told apart.
"""


DetailPlace: TypeAlias = tuple[int, int, int]
"""(cpu, thread, detail): a :data:`Place`, and what more exits there told.

A detail is a number as in :mod:`kstats.arch.details`.
"""


@attrs.frozen
class SlowExit:
    """One exit that took long.

    Attributes:
        time: When it ended, seconds since the epoch (UTC).
        code: What it was.
        place: Where, and of which thread, the guest was left.
        duration: Until the next entry of the thread, in nanoseconds.
    """

    time: float
    code: Code
    place: Place
    duration: int


@attrs.frozen
class VcpuTime:
    """Where the time of a thread that runs a vCPU went within a sample, in nanoseconds.

    Attributes:
        guest: In the guest.
        kernel: From an exit to the next entry, as far as none of the others has it.
        vmm: From KVM_RUN's return to the next entry: in the VMM.
        halted: Until KVM woke the vCPU up: asleep, or polling for what would wake it.
        waiting: Ready to run while the CPU ran something else; None if nobody looked, and then
            it is part of the others.
    """

    guest: int = 0
    kernel: int = 0
    vmm: int = 0
    halted: int = 0
    waiting: int | None = None


@attrs.frozen
class MapUsage:
    """How full a BPF map is, in entries; of tables that every CPU has, the fullest."""

    used: int
    size: int


@attrs.frozen(eq=False)
class Overhead:
    """What kstats itself costs the host.

    Attributes:
        ns_per_exit: Nanoseconds that all our programs take for each exit; None if no exit was
            timed.
        timed: Exits that were timed.
        cpu_share: Time that our programs take, in per cent of all CPUs.
        process_share: Time that this process took since the last report, in per cent of one CPU.
        maps: How full each map is, by its name.
    """

    ns_per_exit: float | None
    timed: int
    cpu_share: float
    process_share: float
    maps: Mapping[str, MapUsage]


@attrs.frozen(eq=False)
class Sample:
    """What happened on a host between two moments.

    Attributes:
        arch: Name of the host's architecture.
        time: End of the sample, seconds since the epoch (UTC).
        elapsed: Seconds that really passed.
        cpus: The CPUs online at the end, ascending.
        topology: Where each of ``cpus`` is; empty if it was not read.
        entries: VM entries by CPU; a CPU without any may be missing.
        exits: VM exits by :data:`Code`, then by :data:`Place`; zero counts may be missing.
        code_dropped: Exits by CPU without their code: it could not be read, or the table of
            unusual codes was full. They are not in ``exits``.
        unsupported_isa: Exits of an ISA that the program does not decode; in no other field.
        missed: Times the kernel skipped the program; each is an entry or exit not counted.
        threads: Who each thread of a :data:`Place` is; also vCPUs that did not exit.
        ended: Those of ``threads`` that had ended when the sample did.
        isa: The ISA that the host's KVM counts exits of; empty if that is not told.
        events: Firings of tracepoints by :attr:`kstats.arch.kvmstat.Event.label`, then by
            :data:`Place`; an event without a key was not counted.
        counters: By how much KVM's own counters of each vCPU grew, by the kernel's names; none
            where the VMM keeps them to itself. None if they were not read.
        latency: How long exits took until the next entry of their thread, by :data:`Code`, then
            by :data:`Place` (CPU -1 where CPUs were not told apart): of those that ended within
            the sample. None if it was not measured.
        latency_dropped: Exits that were counted but not timed: the next entry was not seen, or
            the latency tables were full.
        slow: Single exits that took longer than was asked for, in the order of their ends.
        slow_dropped: Slow exits dropped by the rate limit; not in ``slow``.
        vcpu_time: Where the time went, by thread, of all that were seen to run a vCPU. None if it
            was not measured.
        time_dropped: Scheduling events dropped because the vCPU time table was full; the time
            of their threads is not in ``vcpu_time``.
        details: Those of ``exits`` that told more, by the name of the
            :class:`kstats.arch.details.Detail`, :data:`Code`, then :data:`DetailPlace`. A kind
            without a key was not asked for; what ``exits`` has more had no room.
        detail_latency: How long those exits took, as ``latency`` says it, which is not measured
            beside it. A kind without a key was not measured.
        notes: What people should know about this sample, a line each.
    """

    arch: str
    time: float
    elapsed: float
    cpus: tuple[int, ...]
    entries: Mapping[int, int]
    exits: Mapping[Code, Mapping[Place, int]]
    code_dropped: Mapping[int, int] = attrs.field(factory=dict)
    unsupported_isa: int = 0
    missed: int = 0
    threads: Mapping[int, Thread] = attrs.field(factory=dict)
    ended: frozenset[int] = frozenset()
    isa: str = ""
    events: Mapping[str, Mapping[Place, int]] = attrs.field(factory=dict)
    counters: Mapping[Vcpu, Mapping[str, int]] | None = None
    latency: Mapping[Code, Mapping[Place, Histogram]] | None = None
    latency_dropped: int = 0
    slow: tuple[SlowExit, ...] = ()
    slow_dropped: int = 0
    vcpu_time: Mapping[int, VcpuTime] | None = None
    time_dropped: int = 0
    details: Mapping[str, Mapping[Code, Mapping[DetailPlace, int]]] = attrs.field(factory=dict)
    detail_latency: Mapping[str, Mapping[Code, Mapping[DetailPlace, Histogram]]] = attrs.field(
        factory=dict
    )
    topology: Mapping[int, CpuTopology] = attrs.field(factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def timestamp(self) -> str:
        """The end of the sample as UTC ISO 8601 with milliseconds: ``2026-01-31T12:00:00.000Z``."""
        moment = datetime.fromtimestamp(self.time, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
