"""Samples: every source yields them, every view turns them into a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, NamedTuple, TypeAlias

import attrs

from kstats.histogram import Histogram
from kstats.meaning import (
    BY_CPU,
    BY_PLACE,
    BY_PROCESS,
    BY_THREAD,
    BY_VCPU,
    COUNTED_BY_PROCESS,
    DROPPED_BY_CPU,
    EXITS,
    FACT,
    FLAG,
    NOTES,
    ONE_BY_ONE,
    SET_OF_THREADS,
    TOTAL,
    UNION,
    WHO,
    means,
)
from kstats.topology import CpuTopology
from kstats.vms.identity import Thread, Vcpu

Code: TypeAlias = tuple[str, int]
"""(isa, code) of an exit."""

MOST_CPUS = 1 << 20
"""The limit of CPU numbers. A kernel has at most 8192 CPUs (NR_CPUS); those of all
hosts in a Prometheus are numbered consecutively."""

Cpu: TypeAlias = Annotated[int, range(-1, MOST_CPUS)]
"""The number of a physical CPU; -1 if CPUs are not distinguished."""

Cpus: TypeAlias = Annotated[tuple[int, ...], range(MOST_CPUS)]
"""Numbers of physical CPUs, ascending."""


class Place(NamedTuple):
    """Where exits happened.

    Attributes:
        cpu: The physical CPU; -1 if CPUs are not distinguished.
        thread: The kernel's pid_tgid, ``pid << 32 | tid``. 0 if threads are not distinguished;
            the high half is 0 if only the process is unknown. Numbers from 2**63 on, which no
            kernel uses, stand for threads without a known thread ID.
        detail: What the exits carry beyond their code, as a number of
            :mod:`kstats.arch.details`; None if it was not counted, does not exist or was
            dropped.
        handler: Who handled the exits, as a number of :mod:`kstats.views.handlers`; None if it
            was not counted or was dropped.
    """

    cpu: Cpu
    thread: int
    detail: int | None = None
    handler: int | None = None


@attrs.frozen
class Exits:
    """Exits of one code at one place.

    Attributes:
        count: The number of exits.
        latency: The time until the next entry of their thread, of those that ended within the
            sample; None if it was not measured or none ended.
    """

    count: int = 0
    latency: Histogram | None = None

    def __add__(self, other: Exits) -> Exits:
        latency = self.latency
        if other.latency is not None:
            latency = other.latency if latency is None else latency + other.latency
        count = self.count + other.count
        return count_only(count) if latency is None else Exits(count, latency)


class _CountOnly(dict[int, Exits]):
    """Exits without a latency, by their count."""

    def __missing__(self, count: int) -> Exits:
        exits = Exits(count)
        if len(self) < 1 << 16:
            self[count] = exits
        return exits


count_only = _CountOnly().__getitem__
"""Return exits without a latency, for a count. Samples have thousands of them, and most counts
come again and again: finding one takes a fifth of the time that making one does."""


@attrs.frozen
class SlowExit:
    """One slow exit.

    Attributes:
        time: When it ended, seconds since the epoch (UTC).
        code: Its code.
        place: Its CPU and thread.
        duration: Nanoseconds until the next entry of the thread.
    """

    time: float
    code: Code
    place: Place
    duration: int


def _as_tuple(exits: Iterable[SlowExit]) -> tuple[SlowExit, ...]:
    # Merging collects them in a list. Not tuple itself, which mypy cannot resolve as a converter.
    return tuple(exits)


@attrs.frozen
class VcpuTime:
    """The time of a thread that runs a vCPU, in nanoseconds, by state.

    Attributes:
        guest: In the guest.
        kernel: From an exit to the next entry, without the other states.
        vmm: In the VMM: from the return of KVM_RUN to the next entry.
        halted: Until KVM wakes the vCPU up: asleep, or polling for a wake-up.
        waiting: Runnable, while the CPU runs something else; None if it was not measured, and
            then it is part of the other states.
    """

    guest: int = 0
    kernel: int = 0
    vmm: int = 0
    halted: int = 0
    waiting: int | None = None

    def __add__(self, other: VcpuTime) -> VcpuTime:
        waiting = [n for n in (self.waiting, other.waiting) if n is not None]
        return VcpuTime(
            self.guest + other.guest,
            self.kernel + other.kernel,
            self.vmm + other.vmm,
            self.halted + other.halted,
            sum(waiting) if waiting else None,
        )


@attrs.frozen
class MapUsage:
    """Used entries and size of a BPF map; for per-CPU tables, those of the fullest."""

    used: int
    size: int


@attrs.frozen(eq=False)
class Overhead:
    """What kstats itself costs the host.

    Attributes:
        ns_per_exit: Nanoseconds per exit that all BPF programs take; None if no exit was timed.
        timed: Exits that were timed.
        cpu_share: Time that the BPF programs take, as a percentage of all CPUs.
        process_share: CPU time of this process since the last report, as a percentage of one CPU.
        maps: The usage of each map, by its name.
    """

    ns_per_exit: float | None
    timed: int
    cpu_share: float
    process_share: float
    maps: Mapping[str, MapUsage]


@attrs.frozen(eq=False)
class Sample:
    """Everything measured on a host between two moments.

    Beside each field stands what it means for filtering, merging and replaying (see
    :mod:`kstats.meaning`); how it is recorded follows from its type (see
    :mod:`kstats.recording.fields`).

    Attributes:
        arch: Name of the host's architecture.
        time: End of the sample, seconds since the epoch (UTC); 0 if it is unknown.
        elapsed: Elapsed time in seconds.
        cpus: The CPUs online at the end, ascending.
        topology: Where each of ``cpus`` is; empty if it was not read.
        entries: VM entries by CPU; zeros may be missing.
        exits: VM exits by :data:`Code`, then by :class:`Place`; zeros may be missing. Latencies
            that are not distinguished by CPU are at CPU -1, with a count of 0.
        code_dropped: Exits by CPU without their code: it could not be read, or the table of
            unusual codes was full. They are not in ``exits``.
        unsupported_isa: Exits of an ISA that the program does not decode; in no other field.
        missed: Times the kernel skipped the program; each is an entry or exit not counted.
        threads: Process, vCPU and VM of each thread of a :class:`Place`; also of vCPUs without
            an exit.
        names_dropped: First exits of threads that the kernel did not report, because the table of
            threads was full: a VM that ended before the sample did may have no name.
        ended: Those of ``threads`` that had ended when the sample did.
        isa: The ISA that the host's KVM counts exits of; empty if it is unknown.
        detail: The kind of detail that distinguishes ``exits``, a name of
            :class:`kstats.arch.details.Detail`; empty for none.
        handled: Whether ``exits`` are distinguished by who handled them.
        timed: Whether latencies were measured; with ``detail``, of exits that carry it.
        latency_dropped: Exits that were counted but not timed: the next entry was not seen, or
            the latency tables were full.
        slow: Slow exits, in the order of their ends.
        slow_dropped: Slow exits dropped by the rate limit; not in ``slow``.
        vcpu_time: The vCPU time of each thread that ran a vCPU; None if it was not measured.
        time_dropped: Scheduling events dropped because the vCPU time table was full; the time
            of their threads is not in ``vcpu_time``.
        events: Firings of tracepoints by :attr:`kstats.arch.kvmstat.Event.label`, then by
            :class:`Place`; an event without a key was not counted.
        counters: The increase of KVM's own counters of each vCPU, by the kernel's names; empty
            for a vCPU if its VMM did not open them. None if they were not read.
        host_facts: Settings and memory of the host, a flat
            :class:`kstats.facts.model.HostFacts`; empty if they were not read.
        vm_facts: Memory and threads of processes that run VMs, by pid, each a flat
            :class:`kstats.facts.model.VmFacts`.
        vcpu_facts: How threads that run vCPUs are scheduled, each a flat
            :class:`kstats.facts.model.VcpuFacts`.
        host_counters: What the kernel counted of the host, a flat
            :class:`kstats.facts.model.HostCounters`.
        vm_counters: The increase of KVM's own counters of VMs by pid, by the kernel's names, those
            of the vCPUs added up; ``observed`` is the nanoseconds in which they were counted.
        vm_dropped: What did not fit in the share of a process: by pid, how many exits of each kind
            of loss, such as ``detail_dropped``. They are part of the host's losses.
        interrupts: Interrupts that the host handled by source, then by CPU: ``IRQ 45 nvme0q3`` of
            a device, else what the kernel calls them, as ``Local timer interrupts``.
        scheduling: What the scheduler did with threads that run vCPUs, each a flat
            :class:`kstats.facts.model.Scheduling`; None if it was not read.
        notes: Remarks on this sample, one line each.
    """

    arch: str = attrs.field(metadata=means(FACT))
    time: float = attrs.field(metadata=means(FACT))
    elapsed: float = attrs.field(metadata=means(TOTAL))
    cpus: Cpus = attrs.field(metadata=means(FACT))
    entries: Mapping[Cpu, int] = attrs.field(
        metadata=means(BY_CPU, "VM entries", "kstats record -o FILE")
    )
    exits: Mapping[Code, Mapping[Place, Exits]] = attrs.field(metadata=means(EXITS))
    code_dropped: Mapping[Cpu, int] = attrs.field(factory=dict, metadata=means(DROPPED_BY_CPU))
    unsupported_isa: int = attrs.field(default=0, metadata=means(TOTAL))
    missed: int = attrs.field(default=0, metadata=means(TOTAL))
    threads: Mapping[int, Thread] = attrs.field(
        factory=dict,
        metadata=means(WHO, "exits by thread", "kstats record -o FILE"),
    )
    names_dropped: int = attrs.field(default=0, metadata=means(TOTAL))
    ended: frozenset[int] = attrs.field(default=frozenset(), metadata=means(SET_OF_THREADS))
    isa: str = attrs.field(default="", metadata=means(FACT))
    detail: str = attrs.field(default="", metadata=means(FACT))
    handled: bool = attrs.field(
        default=False,
        metadata=means(
            FLAG, "handlers", "kstats exits --by vm,reason,handler --record FILE", name="handlers"
        ),
    )
    timed: bool = attrs.field(
        default=False,
        metadata=means(FLAG, "latencies", "kstats record --latency -o FILE", name="latency"),
    )
    latency_dropped: int = attrs.field(default=0, metadata=means(TOTAL))
    slow: tuple[SlowExit, ...] = attrs.field(
        default=(),
        converter=_as_tuple,
        metadata=means(ONE_BY_ONE, "slow exits", "kstats record --slower-than TIME -o FILE"),
    )
    slow_dropped: int = attrs.field(default=0, metadata=means(TOTAL))
    vcpu_time: Mapping[int, VcpuTime] | None = attrs.field(
        default=None,
        metadata=means(BY_THREAD, "vCPU times", "kstats record --time -o FILE"),
    )
    time_dropped: int = attrs.field(default=0, metadata=means(TOTAL))
    events: Mapping[str, Mapping[Place, int]] = attrs.field(factory=dict, metadata=means(BY_PLACE))
    counters: Mapping[Vcpu, Mapping[str, int]] | None = attrs.field(
        default=None,
        metadata=means(
            BY_VCPU,
            "KVM's own counters of vCPUs",
            "kstats vcpu --source kernel --record FILE",
        ),
    )
    topology: Mapping[Cpu, CpuTopology] = attrs.field(factory=dict, metadata=means(UNION))
    host_facts: Mapping[str, str | int] = attrs.field(factory=dict, metadata=means(UNION))
    vm_facts: Mapping[int, Mapping[str, str | int]] = attrs.field(
        factory=dict, metadata=means(BY_PROCESS)
    )
    vcpu_facts: Mapping[int, Mapping[str, str | int]] = attrs.field(
        factory=dict, metadata=means(WHO)
    )
    host_counters: Mapping[str, int] = attrs.field(factory=dict, metadata=means(TOTAL))
    vm_counters: Mapping[int, Mapping[str, int]] = attrs.field(
        factory=dict, metadata=means(COUNTED_BY_PROCESS)
    )
    vm_dropped: Mapping[int, Mapping[str, int]] = attrs.field(
        factory=dict, metadata=means(COUNTED_BY_PROCESS)
    )
    interrupts: Mapping[str, Mapping[Cpu, int]] = attrs.field(factory=dict, metadata=means(TOTAL))
    scheduling: Mapping[int, Mapping[str, int]] | None = attrs.field(
        default=None, metadata=means(BY_THREAD)
    )
    notes: tuple[str, ...] = attrs.field(default=(), metadata=means(NOTES))

    @property
    def timestamp(self) -> str:
        """The end of the sample as UTC ISO 8601 with milliseconds: ``2026-01-31T12:00:00.000Z``.

        Empty if the time is unknown, as that of a table of another tool.
        """
        if not self.time:
            return ""
        moment = datetime.fromtimestamp(self.time, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
