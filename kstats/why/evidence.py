"""Evidence: sums by VM of what was measured in one window of time, as rules look at it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import attrs

from kstats.facts.model import HostCounters, HostFacts, Scheduling, VcpuFacts, VmFacts
from kstats.histogram import Histogram
from kstats.model import Code, Sample, VcpuTime
from kstats.views import losses
from kstats.views.exits import names_of
from kstats.vms.identity import Vm

SHORTEST = 0.1
"""The shortest window of which there are rates, in seconds. A line of a trace is not a rate."""

Numbers = Mapping[tuple[Code, int | None], int]
"""Exits by code and number of a detail; None is a detail that was dropped."""


@attrs.frozen(eq=False)
class Details:
    """Exits by one kind of detail, which may have been counted in a window of its own.

    Attributes:
        exits: By code and number.
        vcpu_seconds: The seconds of that window, times the vCPUs.
    """

    exits: Numbers
    vcpu_seconds: float


@attrs.frozen(eq=False)
class Subject:
    """What was measured of one VM, or of all VMs of a host.

    A part that was not measured is None. Shares and rates are relative to ``vcpu_seconds``.

    Attributes:
        name: The VM's name, made unique; empty for the host.
        vm: The VM; None for the host, and for exits without a known thread.
        vcpus: How many vCPUs it has; for exits without threads, how many CPUs had any.
        exits: Exits by code.
        latency: The latency of exits by code, of the codes that were timed.
        vcpu_time: Where the time of each vCPU went, by the number of the vCPU or of its thread.
        events: Firings of tracepoints by label.
        details: Exits by detail, by kind.
        counters: The increase of KVM's own counters; ``observed`` is the nanoseconds in which
            they were counted.
        vcpu_exits: Exits by vCPU, as in ``vcpu_time``, then by code; empty for the host.
        cpu_exits: Exits by CPU, then by code.
        cpus: How many CPUs are online.
        host_vcpus: How many vCPUs all VMs of the host have.
        seconds: The length of the window.
        before: Of the recording to compare with, the highest rate by code, in exits per
            vCPU-second.
        settings: Facts about the host.
        facts: Facts about the VM; None for the host.
        host_counters: What the kernel counted of the host.
        interrupts: Interrupts of the host by source, then by CPU, in the same time.
        scheduling: What the scheduler did with each vCPU, as in ``vcpu_time``.
        affinity: The CPU lists on which its vCPUs may run.
        codes: The codes of its exits.
    """

    name: str
    vm: Vm | None
    vcpus: int
    seconds: float
    exits: Mapping[Code, int]
    latency: Mapping[Code, Histogram] | None = None
    vcpu_time: Mapping[int, VcpuTime] | None = None
    events: Mapping[str, int] | None = None
    details: Mapping[str, Details] = attrs.field(factory=dict)
    counters: Mapping[str, int] | None = None
    vcpu_exits: Mapping[int, Mapping[Code, int]] = attrs.field(factory=dict)
    cpu_exits: Mapping[int, Mapping[Code, int]] = attrs.field(factory=dict)
    cpus: int = 0
    host_vcpus: int = 0
    before: Mapping[Code, float] | None = None
    settings: HostFacts | None = None
    facts: VmFacts | None = None
    host_counters: HostCounters | None = None
    interrupts: Mapping[str, Mapping[int, int]] = attrs.field(factory=dict)
    scheduling: Mapping[int, Scheduling] | None = None
    affinity: frozenset[str] = frozenset()
    codes: frozenset[Code] = attrs.field(init=False)

    @codes.default
    def _(self) -> frozenset[Code]:
        return frozenset(code for code, n in self.exits.items() if n)

    @property
    def vcpu_seconds(self) -> float:
        """Seconds of the window, times the vCPUs; 0 if it is too short for rates."""
        return self.seconds * self.vcpus if self.seconds >= SHORTEST else 0

    @property
    def rates(self) -> dict[Code, float]:
        """Exits per vCPU-second by code; empty if the time is unknown."""
        seconds = self.vcpu_seconds
        return {code: n / seconds for code, n in self.exits.items()} if seconds else {}


@attrs.frozen(eq=False)
class Evidence:
    """Everything that was measured on a host in one window.

    Attributes:
        isa: The ISA of the exits.
        begin: When the window began, seconds since the epoch.
        end: When it ended.
        vms: Its VMs, and exits without a known thread.
        host: All of them together.
        notes: Remarks on the samples, one line each.
    """

    isa: str
    begin: float
    end: float
    vms: tuple[Subject, ...]
    host: Subject
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        sample: Sample,
        *,
        details: Iterable[Sample] = (),
    ) -> Evidence:
        """Return the evidence of a sample.

        Args:
            sample: The window.
            details: Samples of the same VMs with one kind of detail each; ``sample`` may have one,
                too.
        """
        sums = _Sums(sample)
        for one in (sample, *details):
            if one.detail:
                sums.add_details(one)
        sums.add_counters(sample)
        keys = sorted(sums.parts, key=lambda vm: (vm is None, -sums.parts[vm].exits.total()))
        names = names_of(vm for vm in keys if vm)
        nobody = "unknown threads" if sample.threads else "all VMs"
        vms = tuple(sums.parts[vm].subject(names[vm] if vm else nobody, vm, sample) for vm in keys)
        isa = sample.isa or next((code[0] for code in sample.exits), "")
        host = _host(vms, sample, sums)
        notes = losses.notes(sample)
        every = host.vcpus
        vms = tuple(attrs.evolve(vm, host_vcpus=every) for vm in vms)
        host = attrs.evolve(host, host_vcpus=every)
        return cls(isa, sample.time - sample.elapsed, sample.time, vms, host, notes)

    def beside(self, before: Mapping[str, Mapping[Code, float]]) -> Evidence:
        """Return the evidence with the rates of an earlier recording, by the names of its VMs.

        A VM that the earlier recording lacks is compared with all VMs of its host.
        """
        vms = (attrs.evolve(vm, before=before.get(vm.name, before[""])) for vm in self.vms)
        return attrs.evolve(self, vms=tuple(vms), host=attrs.evolve(self.host, before=before[""]))


@attrs.define(eq=False)
class _Part:
    """Sums of one VM; None where nothing was measured."""

    threads: set[int] = attrs.field(factory=set)
    exits: Counter[Code] = attrs.field(factory=Counter)
    latency: dict[Code, Histogram] = attrs.field(factory=dict)
    vcpu_time: dict[int, VcpuTime] = attrs.field(factory=dict)
    events: Counter[str] = attrs.field(factory=Counter)
    details: dict[str, Counter[tuple[Code, int | None]]] = attrs.field(factory=dict)
    seconds: dict[str, float] = attrs.field(factory=dict)
    counters: Counter[str] = attrs.field(factory=Counter)
    cpus: defaultdict[int, Counter[Code]] = attrs.field(factory=lambda: defaultdict(Counter))
    vcpus: defaultdict[int, Counter[Code]] = attrs.field(factory=lambda: defaultdict(Counter))

    def subject(self, name: str, vm: Vm | None, sample: Sample) -> Subject:
        """Return the sums as a value."""
        vcpus = len(self.threads) or len(self.cpus) or 1
        facts = sample.vm_facts.get(vm.pid) if vm else None
        known = sample.scheduling or {}
        scheduling = {n: known[n] for n in sorted(self.threads) if n in known}
        allowed = (VcpuFacts.of(sample.vcpu_facts.get(n, {})).cpus for n in self.threads)
        return Subject(
            name=name,
            vm=vm,
            vcpus=vcpus,
            seconds=sample.elapsed,
            exits=self.exits,
            latency=self.latency if sample.timed else None,
            vcpu_time=None if sample.vcpu_time is None else self.vcpu_time,
            events=self.events if sample.events else None,
            details={
                kind: Details(exits, self.seconds[kind] * vcpus)
                for kind, exits in self.details.items()
            },
            counters=self.counters or None,
            vcpu_exits=self._by_vcpu(sample),
            cpu_exits=self.cpus,
            cpus=len(sample.cpus),
            settings=HostFacts.of(sample.host_facts) if sample.host_facts else None,
            facts=VmFacts.of(facts) if facts else None,
            host_counters=HostCounters.of(sample.host_counters) if sample.host_counters else None,
            interrupts=sample.interrupts,
            scheduling={_vcpu(sample, n): Scheduling.of(of) for n, of in scheduling.items()}
            or None,
            affinity=frozenset(filter(None, allowed)),
        )

    def _by_vcpu(self, sample: Sample) -> dict[int, Counter[Code]]:
        found: defaultdict[int, Counter[Code]] = defaultdict(Counter)
        for number, exits in self.vcpus.items():
            if number:
                found[_vcpu(sample, number)] += exits
        return dict(found)


class _Sums:
    """Sums of samples by VM. None stands for exits without a known thread."""

    def __init__(self, sample: Sample) -> None:
        self.parts: defaultdict[Vm | None, _Part] = defaultdict(_Part)
        # By thread, too: the hash of a VM covers all its fields, which is slow.
        self._of_thread: dict[int, _Part] = {}
        for number, thread in sample.threads.items():
            part = self._of_thread[number] = self.parts[thread.vm]
            part.threads.add(number)
        self._add_exits(sample)
        for label, fired in sample.events.items():
            for place, n in fired.items():
                self._part(place.thread).events[label] += n
            for part in self.parts.values():
                part.events[label] += 0  # counted, and did not fire
        for number, spent in (sample.vcpu_time or {}).items():
            times, vcpu = self._part(number).vcpu_time, _vcpu(sample, number)
            times[vcpu] = times[vcpu] + spent if vcpu in times else spent

    def add_details(self, sample: Sample) -> None:
        """Add exits by detail, of VMs that the first sample has."""
        for number, thread in sample.threads.items():
            if number not in self._of_thread and thread.vm in self.parts:
                self._of_thread[number] = self.parts[thread.vm]
        for part in self.parts.values():
            part.details.setdefault(sample.detail, Counter())
            part.seconds[sample.detail] = sample.elapsed
        for code, places in sample.exits.items():
            for place, exits in places.items():
                part = self._part(place.thread)
                if exits.count and sample.detail in part.details:
                    part.details[sample.detail][code, place.detail] += exits.count

    def add_counters(self, sample: Sample) -> None:
        """Add KVM's own counters: those of VMs, else those of vCPUs."""
        of_pid = {vm.pid: part for vm, part in self.parts.items() if vm}
        for pid, grown in sample.vm_counters.items():
            if pid in of_pid:
                of_pid[pid].counters.update(grown)
        for vcpu, grown in ({} if sample.vm_counters else sample.counters or {}).items():
            if vcpu.pid in of_pid:
                of_pid[vcpu.pid].counters.update(grown)
                of_pid[vcpu.pid].counters["observed"] = round(sample.elapsed * 1e9)

    def _add_exits(self, sample: Sample) -> None:
        for code, places in sample.exits.items():
            for place, exits in places.items():
                part = self._part(place.thread)
                if exits.count:
                    part.exits[code] += exits.count
                    part.vcpus[place.thread][code] += exits.count
                    if place.cpu >= 0:
                        part.cpus[place.cpu][code] += exits.count
                if exits.latency:
                    known = part.latency.get(code)
                    part.latency[code] = known + exits.latency if known else exits.latency

    def _part(self, number: int) -> _Part:
        part = self._of_thread.get(number)
        if part is None:
            part = self._of_thread[number] = self.parts[None]
            part.threads |= {number} - {0}
        return part


def _vcpu(sample: Sample, number: int) -> int:
    """Return the number of the vCPU that a thread runs; that of the thread if it is unknown."""
    thread = sample.threads.get(number)
    tid = number & 0xFFFF_FFFF
    return tid if thread is None or thread.vcpu is None else thread.vcpu


def _host(vms: Iterable[Subject], sample: Sample, sums: _Sums) -> Subject:
    whole = _Part()
    for part in sums.parts.values():
        whole.threads |= part.threads
        whole.exits.update(part.exits)
        whole.events.update(part.events)
        for code, latency in part.latency.items():
            whole.latency[code] = whole.latency.get(code, Histogram()) + latency
        for kind, exits in part.details.items():
            whole.details.setdefault(kind, Counter()).update(exits)
            whole.seconds[kind] = part.seconds[kind]
        for cpu, exits_of_cpu in part.cpus.items():
            whole.cpus[cpu].update(exits_of_cpu)
    whole.vcpu_time = dict(sample.vcpu_time or {})
    host = whole.subject("", None, sample)
    return attrs.evolve(host, vcpus=sum(vm.vcpus for vm in vms) or 1)
