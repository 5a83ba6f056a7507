"""Recordings of made-up hosts of any size: busy vCPUs with every exit reason, and facts.

A vCPU of a large host runs on a few CPUs, and only its frequent exits happen on all of them. Here
each vCPU runs on four CPUs; a quarter of the reasons occur on all four, a quarter on two, and the
others on one. With 60 reasons that makes 120 counters by CPU, thread and reason for each vCPU.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from kstats import arch as arches
from kstats.collector.tracepoints import Tracepoints
from kstats.facts.model import HostCounters, HostFacts, Scheduling, VcpuFacts, VmFacts
from kstats.histogram import Histogram
from kstats.model import Code, Exits, Place, Sample, SlowExit, VcpuTime, count_only
from kstats.topology import CpuTopology
from kstats.vms.identity import Kind, Thread, Vm

SECOND = 1_000_000_000
BEGIN = 1_769_860_800.25
COUNTERS_EVERY = 10
"""The sampled seconds after which counters of the host, VMs and the scheduler are read again."""

_VCPUS_OF_VM = 8
_WAYS = 4
"""CPUs on which a vCPU has run."""


@attrs.frozen
class LargeHost:
    """A host and how busy it is.

    Attributes:
        cpus: Its CPUs.
        vcpus: Its busy vCPUs.
        reasons: Exit reasons that each vCPU has.
    """

    cpus: int
    vcpus: int
    reasons: int = 60

    def __str__(self) -> str:
        return f"{self.cpus} CPUs, {self.vcpus} vCPUs"

    def codes(self) -> list[Code]:
        """Return its exit codes, the most frequent first."""
        return [("vmx", code) for code in sorted(arches.isa("vmx").reasons)[: self.reasons]]

    def threads(self) -> dict[int, Thread]:
        """Return its vCPUs."""
        vms = [
            Vm(1000 + n, 1, Kind.LIBVIRT, f"instance-{n:08x}", 9)
            for n in range(-(-self.vcpus // _VCPUS_OF_VM))
        ]
        found = {}
        for number in range(self.vcpus):
            vm = vms[number // _VCPUS_OF_VM]
            tid = 100_000 + number
            found[vm.pid << 32 | tid] = Thread(tid, vm.pid, number % _VCPUS_OF_VM, vm)
        return found

    def places(self) -> dict[Code, list[Place]]:
        """Return where the exits of each code happen."""
        homes = [
            (number, [(n * _WAYS + way) % self.cpus for way in range(_WAYS)])
            for n, number in enumerate(self.threads())
        ]
        made: dict[tuple[int, int], Place] = {}
        return {
            code: [
                made.setdefault((cpu, number), Place(cpu, number))
                for number, cpus in homes
                for cpu in cpus[: max(1, _WAYS >> rank * _WAYS // self.reasons)]
            ]
            for rank, code in enumerate(self.codes())
        }

    def samples(self, seconds: int) -> Iterator[Sample]:
        """Yield what ``kstats record --time`` writes: a sample for each second."""
        chance = random.Random(1)  # noqa: S311 - any numbers do, but the same each time
        places, threads = self.places(), self.threads()
        of_host = Sample(
            arch="x64",
            isa="vmx",
            time=BEGIN,
            elapsed=1.0,
            cpus=tuple(range(self.cpus)),
            topology={cpu: CpuTopology(cpu // 64, cpu // 64, 0, cpu) for cpu in range(self.cpus)},
            entries=dict.fromkeys(range(self.cpus), 100_000),
            exits={},
            threads=threads,
            events={
                label: dict.fromkeys(found, 7)
                for label, found in zip(_EVENTS, places.values(), strict=False)
            },
            host_facts=_HOST,
            vm_facts={thread.pid: _VM for thread in threads.values()},
            vcpu_facts=dict.fromkeys(threads, _VCPU),
        )
        for second in range(1, seconds + 1):
            counted = self._counted(threads) if second % COUNTERS_EVERY == 2 else {}
            exits = {
                code: {at: count_only(1 + int(chance.random() * 900 / rank)) for at in found}
                for rank, (code, found) in enumerate(places.items(), 1)
            }
            times = {
                number: VcpuTime(700_000_000 + chance.randrange(1000), 10**8, 10**7, 10**8, 10**7)
                for number in threads
            }
            of_second = {"time": BEGIN + second, "exits": exits, "vcpu_time": times, **counted}
            yield attrs.evolve(of_host, **of_second)

    def timed(self, seconds: int) -> Iterator[Sample]:
        """Yield what ``kstats record --latency --slower-than TIME`` writes."""
        for sample in self.samples(seconds):
            exits = {
                code: {**at, **dict.fromkeys(_at_threads(at), _latency(rank, self.reasons))}
                for rank, (code, at) in enumerate(sample.exits.items())
            }
            code, at = next(iter(sample.exits.items()))
            of_threads = {place.thread: place for place in at}
            slow = [SlowExit(sample.time, code, place, 10**7) for place in of_threads.values()]
            yield attrs.evolve(sample, exits=exits, slow=tuple(slow), timed=True)

    def detailed(self, seconds: int) -> Iterator[Sample]:
        """Yield what ``kstats record --detail msr`` writes: eight MSRs on each vCPU."""
        for sample in self.samples(seconds):
            at = sample.exits[_MSR_WRITE]
            registers = {
                Place(cpu, thread, 2 << 62 | 0x800 + number): exits
                for (cpu, thread, _, _), exits in at.items()
                for number in range(_REGISTERS)
            }
            yield attrs.evolve(sample, detail="msr", exits={**sample.exits, _MSR_WRITE: registers})

    def _counted(self, threads: Mapping[int, Thread]) -> dict[str, Any]:
        """Return what is read every :data:`COUNTERS_EVERY` seconds."""
        return {
            "host_counters": _COUNTERS,
            "vm_counters": {thread.pid: _KEPT for thread in threads.values()},
            "scheduling": dict.fromkeys(threads, _SCHEDULING),
            "interrupts": {f"IRQ {n} nvme0q{n}": {n: 1000 + n} for n in range(self.cpus)},
        }


def _at_threads(places: Iterable[Place]) -> Iterator[Place]:
    """Yield the place of the latencies of each thread, which CPUs do not distinguish."""
    return (Place(-1, thread) for thread in {place.thread: None for place in places})


@functools.cache
def _latency(rank: int, reasons: int) -> Exits:
    """Return the latencies of a reason: frequent ones are in eight buckets, rare ones in one."""
    return Exits(0, Histogram.of([1000 << n for n in range(8 >> 4 * rank // reasons)]))


_MSR_WRITE: Code = ("vmx", 32)
_REGISTERS = 8
_EVENTS = tuple(event.label for event in Tracepoints.kvmstat(arches.find("x64"), "vmx").events)
_HOST = HostFacts(
    parameters={"kvm_intel.enable_apicv": "Y", "kvm.halt_poll_ns": "200000"},
    governors={"performance": 1},
    smt=True,
    clocksource="tsc",
    thp="madvise",
    nodes=8,
    memory=1 << 40,
).flat()
_VM = VmFacts(resident=1 << 34, swapped=0, huge=1 << 33, threads=12, vhost=2).flat()
_VCPU = VcpuFacts(cpus="0-511", policy="other").flat()
_COUNTERS = HostCounters(observed=10 * SECOND, cpu=10 * SECOND, steal=0, cpu_pressure=1).flat()
_SCHEDULING = Scheduling(observed=10 * SECOND, ran=9 * SECOND, delayed=10**7).flat()
_KEPT = {
    "observed": 10 * SECOND,
    "exits": 10**6,
    "halt_attempted_poll": 1000,
    "halt_successful_poll": 900,
}
