"""Samples of made-up hosts with everything that can be measured."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from kstats import arch as arches
from kstats.histogram import Histogram
from kstats.model import Code, Exits, Place, Sample, SlowExit, VcpuTime
from kstats.topology import CpuTopology
from kstats.vms.identity import Kind, Thread, Vm

MOMENT = 1_769_860_800.25
"""2026-01-31T12:00:00.250Z."""

HLT: Code = ("vmx", 12)
MSR_WRITE: Code = ("vmx", 32)
SECOND = 1_000_000_000
HOSTILE = (
    "\x1b[2J\x1b[31mred",
    "line\nfeed",
    "\u202egnirts",
    "zero\u200bwidth",
    "日本語の仮想マシン",
    "ㅤㅤ",
    "e\u0301clair",
    "\udcff\x00",
    "a" * 300,
)
"""Names that try to draw, to move their neighbours, or to take more room than they have."""


def vm(number: int, name: str) -> Vm:
    """Return a VM."""
    return Vm(1000 + number, 1, Kind.QEMU, name, 9)


def threads(names: Iterable[str], vcpus: int) -> dict[int, Thread]:
    """Return the vCPUs of VMs with these names."""
    made = {}
    for number, name in enumerate(names):
        of = vm(number, name)
        for vcpu in range(vcpus):
            tid = 100_000 + number * 1000 + vcpu
            made[of.pid << 32 | tid] = Thread(tid, of.pid, vcpu, of)
    return made


def host(
    known: Mapping[int, Thread], cpus: int, nodes: int, *, reasons: int = 20, idle: int = 0
) -> Sample:
    """Return a sample in which each vCPU has exits of each reason; the last CPUs are idle."""
    chosen = random.Random(1)  # noqa: S311 - any numbers do, but the same each time
    isa = arches.isa("vmx")
    codes: list[Code] = [("vmx", code) for code in sorted(isa.reasons)[:reasons]]
    busy = cpus - idle
    exits: dict[Code, dict[Place, Exits]] = {code: {} for code in codes}
    for place, number in enumerate(known):
        for code in codes:
            at = Place((place * 7) % busy, number)
            exits[code][at] = Exits(chosen.randrange(1, 1000))
    return Sample(
        arch="x64",
        isa="vmx",
        time=MOMENT,
        elapsed=1.0,
        cpus=tuple(range(cpus)),
        entries={},
        exits=exits,
        threads=known,
        topology={
            cpu: CpuTopology(cpu * nodes // cpus, cpu * nodes // cpus, 0, cpu)
            for cpu in range(cpus)
        },
    )


def large_host() -> Sample:
    """Return the host of the budget: 512 CPUs in 8 nodes, 1,000 vCPUs, 20 reasons."""
    return host(threads([f"vm{n}" for n in range(125)], 8), 512, 8)


def measured_host() -> Sample:
    """Return a host with latencies, vCPU times, details and slow exits."""
    known = threads(["web", "db"], 2)
    web = next(iter(known))
    halts = {Place(0, number): Exits(100 * n) for n, number in enumerate(known, 1)}
    halts |= {
        Place(-1, number): Exits(0, Histogram.of([1000 * n] * 99 + [5_000_000]))
        for n, number in enumerate(known, 1)
    }
    deadline, counter = 2 << 62 | 0x6E0, 2 << 62 | 0x10
    return Sample(
        arch="x64",
        isa="vmx",
        time=MOMENT,
        elapsed=2.0,
        cpus=(0, 1),
        entries={},
        exits={
            HLT: halts,
            MSR_WRITE: {Place(1, web, deadline): Exits(30), Place(1, web, counter): Exits(10)},
        },
        threads=known,
        detail="msr",
        timed=True,
        slow=(
            SlowExit(MOMENT - 1, ("vmx", 48), Place(0, web), 3 * SECOND // 1000),
            SlowExit(MOMENT, MSR_WRITE, Place(1, web), 7 * SECOND // 1000),
        ),
        slow_dropped=4,
        vcpu_time={
            number: VcpuTime(SECOND, SECOND // 2, SECOND // 4, 0, SECOND // 4) for number in known
        },
        topology={cpu: CpuTopology(0, 0, 0, cpu) for cpu in (0, 1)},
    )
