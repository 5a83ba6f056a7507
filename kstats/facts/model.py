"""Facts about a host and its VMs, as values. A fact that is None or missing is unknown.

A sample has them as plain mappings (:attr:`kstats.model.Sample.host_facts` and so on), which
record well and which most commands do not look into. :meth:`Facts.of` makes a value of one, and
:meth:`Facts.flat` a mapping.
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Self, TypeAlias

import attrs

Flat: TypeAlias = Mapping[str, str | int]
"""Facts by name; ``of.x`` is the item ``x`` of the mapping ``of``. A switch is 1 or 0."""


@attrs.frozen
class Facts:
    """Facts that are the attributes of a subclass: numbers, texts, switches and mappings."""

    @classmethod
    def of(cls, flat: Flat) -> Self:
        """Return the facts of a mapping, without those that are unknown or have another type."""
        kind: Any = cls  # mypy does not know that classes are hashable
        types = _types(kind)
        found: dict[str, Any] = {}
        for path, value in flat.items():
            name, dot, key = path.partition(".")
            fact = types.get(name)
            if fact is None or bool(dot) != (fact.key is not None) or not fact.fits(key, value):
                continue
            if fact.key is None:
                found[name] = fact.value(value)
            else:
                found.setdefault(name, {})[fact.key(key)] = value
        return cls(**found)

    def flat(self) -> dict[str, str | int]:
        """Return the known facts as a mapping."""
        return dict(self._flat())

    def _flat(self) -> Iterator[tuple[str, str | int]]:
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            if isinstance(value, Mapping):
                yield from ((f"{field.name}.{key}", item) for key, item in value.items())
            elif value is not None:
                yield field.name, int(value) if isinstance(value, bool) else value


@attrs.frozen
class _Type:
    """The type of a fact: of its value, or of the keys and the values of a mapping."""

    value: type
    key: type | None = None

    def fits(self, key: str, value: str | int) -> bool:
        """Return whether an item of a mapping has this type; its key is empty without one."""
        if isinstance(value, str) != (self.value is str):
            return False
        return self.key is not int or re.fullmatch(r"\d{1,9}", key, re.ASCII) is not None


@functools.cache
def _types(cls: Any) -> Mapping[str, _Type]:
    found = {}
    for name, hint in typing.get_type_hints(cls).items():
        arguments = typing.get_args(hint)
        is_mapping = typing.get_origin(hint) is Mapping
        found[name] = _Type(arguments[1], arguments[0]) if is_mapping else _Type(arguments[0])
    return found


@attrs.frozen
class HostFacts(Facts):
    """The settings and the memory of a host.

    Attributes:
        parameters: Parameters of KVM's modules, ``kvm_intel.ple_gap`` to ``128``, as sysfs has
            them: a switch is ``Y`` or ``N``, or ``1`` or ``0``, depending on module and kernel.
        boot_options: Options of the kernel's command line that concern CPUs, timers, memory or
            KVM, ``kvm-arm.mode`` to ``nvhe``; an option without a value has an empty one.
        governors: The number of CPUs by cpufreq governor; empty without cpufreq.
        smt: Whether sibling threads of cores are online.
        clocksource: The host's clock source, such as ``tsc``.
        hypervisor: Whether the host is a VM itself. ARM64 does not report it.
        isolated: The CPUs that the scheduler does not balance, as a CPU list; empty for none.
        nohz_full: The CPUs whose tick may stop, as a CPU list; empty for none.
        thp: The mode of transparent huge pages: ``always``, ``madvise`` or ``never``.
        shmem_thp: The same for shared memory, which has more modes, such as ``advise``.
        ksm: Whether KSM merges pages.
        numa_balancing: Whether the kernel moves pages between NUMA nodes.
        nodes: The number of NUMA nodes.
        memory: Usable memory, bytes.
        memory_available: Memory that can be used without swapping, bytes.
        swap: Swap space, bytes.
        swap_used: Swap space in use, bytes.
        hugetlb: Memory in the pool of huge pages, bytes.
        hugetlb_free: Memory in the pool that is not in use, bytes.
        runnable: Threads that run or wait for a CPU, at the moment of reading.
    """

    parameters: Mapping[str, str] = attrs.field(factory=dict)
    boot_options: Mapping[str, str] = attrs.field(factory=dict)
    governors: Mapping[str, int] = attrs.field(factory=dict)
    smt: bool | None = None
    clocksource: str | None = None
    hypervisor: bool | None = None
    isolated: str | None = None
    nohz_full: str | None = None
    thp: str | None = None
    shmem_thp: str | None = None
    ksm: bool | None = None
    numa_balancing: bool | None = None
    nodes: int | None = None
    memory: int | None = None
    memory_available: int | None = None
    swap: int | None = None
    swap_used: int | None = None
    hugetlb: int | None = None
    hugetlb_free: int | None = None
    runnable: int | None = None


@attrs.frozen
class VcpuFacts(Facts):
    """How a thread that runs a vCPU is scheduled.

    Attributes:
        cpus: The CPUs on which it may run, as a CPU list.
        policy: Its scheduling policy: ``other``, ``fifo``, ``rr``, ``batch``, ``idle``,
            ``deadline`` or ``ext``.
        quota: Thousandths of a CPU that its cgroup may use (``cpu.max``), the least of the
            cgroups above; None if there is no limit or it is unknown.
    """

    cpus: str | None = None
    policy: str | None = None
    quota: int | None = None


@attrs.frozen
class VmFacts(Facts):
    """The memory and the threads of a process that runs VMs.

    Attributes:
        resident: Memory in RAM, without hugetlb pages, bytes.
        swapped: Memory in swap, bytes.
        locked: Memory that is locked in RAM, bytes.
        hugetlb: Memory in hugetlb pages, bytes.
        huge: Memory in transparent huge pages, bytes; None without the right to look, and where
            looking takes too long (:mod:`kstats.facts.vm`).
        guest_pages: Guest memory that KVM has mapped, in bytes, by page size: ``4k``, ``2m``,
            ``1g``. Only x86 reports it, since Linux 5.15.
        nodes: Memory by NUMA node, bytes; empty if unknown, and on hosts with a single node.
        threads: The number of its threads.
        vhost: The number of vhost threads that work for it.
        migrating: Whether one of its threads has the name of a migration thread of QEMU.
    """

    resident: int | None = None
    swapped: int | None = None
    locked: int | None = None
    hugetlb: int | None = None
    huge: int | None = None
    guest_pages: Mapping[str, int] = attrs.field(factory=dict)
    nodes: Mapping[int, int] = attrs.field(factory=dict)
    threads: int | None = None
    vhost: int | None = None
    migrating: bool | None = None


@attrs.frozen
class Scheduling(Facts):
    """What the scheduler did with a thread.

    Attributes:
        observed: Nanoseconds in which the other numbers were counted. Facts are read less often
            than exits, so this is not the length of the sample.
        ran: Nanoseconds on a CPU, in the guest too.
        delayed: Nanoseconds runnable, waiting for a CPU.
        minor_faults: Page faults that were served without I/O.
        major_faults: Page faults that needed I/O, such as swapping in.
        throttled: Nanoseconds for which its cgroup was held back by a quota, added over CPUs.
    """

    observed: int | None = None
    ran: int | None = None
    delayed: int | None = None
    minor_faults: int | None = None
    major_faults: int | None = None
    throttled: int | None = None


@attrs.frozen
class HostCounters(Facts):
    """What the kernel counted of a host.

    Attributes:
        observed: Nanoseconds in which the other numbers were counted; see :class:`Scheduling`.
        cpu: Time of all CPUs, nanoseconds, as the other times here; it includes the next three.
        idle: Idle time of all CPUs, also while threads waited for I/O.
        irq: Time of all CPUs in interrupts, hard and soft.
        steal: Time of all CPUs in which the hypervisor above ran something else.
        cpu_pressure: Time in which at least one thread waited for a CPU.
        memory_pressure: Time in which at least one thread waited for memory.
        io_pressure: Time in which at least one thread waited for I/O.
        swapped_in: Pages read from swap.
        swapped_out: Pages written to swap.
        numa_faults: Page faults by which NUMA balancing finds out who uses a page.
        numa_migrated: Pages that NUMA balancing moved.
        huge_faults: Page faults that were served with a transparent huge page.
        huge_fallbacks: Page faults for which there was no huge page.
        huge_splits: Transparent huge pages that were split.
    """

    observed: int | None = None
    cpu: int | None = None
    idle: int | None = None
    irq: int | None = None
    steal: int | None = None
    cpu_pressure: int | None = None
    memory_pressure: int | None = None
    io_pressure: int | None = None
    swapped_in: int | None = None
    swapped_out: int | None = None
    numa_faults: int | None = None
    numa_migrated: int | None = None
    huge_faults: int | None = None
    huge_fallbacks: int | None = None
    huge_splits: int | None = None
