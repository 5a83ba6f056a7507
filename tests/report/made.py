"""HTML reports on busy hosts; the VMs have malicious names."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

import attrs

from kstats.histogram import Histogram
from kstats.model import Code, Exits, Place, Sample, SlowExit, VcpuTime
from kstats.report.gather import Gathered
from kstats.report.page import html
from kstats.topology import CpuTopology
from kstats.vms.identity import Kind, Thread, Vm
from tests.samples import MOMENT
from tests.views.hosts import happened, number

HOSTILE = (
    "<script>document.title = 'taken over'</script>",
    "<img src=x onerror=\"document.title = 'taken over'\">",
    '"><svg onload="document.title=\'taken over\'">',
    "' onmouseover='document.title=1",
    "</style></title><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "\x1b[31m\x00\u202e$x_1^2$&amp;",
)
CODES = {
    "vmx": [12, 48, 30, 10, 32, 1, 0x99],
    "arm64": [1, 0x24, 0x18, 0x16, 1 << 32],
}


def busy(arch: str = "x64", isa: str = "vmx", count: int = 90) -> Iterator[Sample]:
    """Yield one sample per second of a host with four CPUs and a VM for each hostile name."""
    vms = [Vm(100 * i, 1, Kind.QEMU, name) for i, name in enumerate(HOSTILE, 1)]
    threads = {number(vm.pid + 1, vm.pid): Thread(vm.pid + 1, vm.pid, 0, vm) for vm in vms}
    for second in range(count):
        exits = {
            (isa, code): {
                (i % 4, thread): (50 + 7 * i + second % 10) * (k + 1)
                for i, thread in enumerate(threads)
            }
            for k, code in enumerate(CODES[isa])
        }
        yield happened(
            exits,
            threads,
            arch=arch,
            cpus=(0, 1, 2, 3),
            time=MOMENT + second,
            notes=(HOSTILE[0],) if second == 0 else (),
        )


def gathered(label: str, samples: Iterator[Sample], **facts: str) -> Gathered:
    """Return a recording of the samples."""
    one = Gathered(label, facts)
    one.add(samples)
    return one


@cache
def one() -> str:
    """Return the report on one recording."""
    return html([gathered(HOSTILE[1], busy(), host=HOSTILE[0], CPU=HOSTILE[4])])


@cache
def several() -> str:
    """Return the report on an Intel host, an ARM64 host and a recording without samples."""
    return html(
        [
            gathered(HOSTILE[0], busy(), host=HOSTILE[2]),
            gathered("arm64", busy("arm64", "arm64", 30)),
            gathered("$nothing$", iter(())),
        ]
    )


SECONDS = 600
"""Of :func:`full`: more samples than bins, so that bins are joined."""


def full(seconds: int = SECONDS, cpus: int = 16) -> Iterator[Sample]:
    """Yield samples with everything that a recording can hold.

    Nine VMs with two vCPUs each run on two NUMA nodes. From the middle on, the first VM does port
    I/O that it did not do before, and waits for a CPU a quarter of the time.
    """
    chosen = random.Random(1)  # noqa: S311 - any numbers do, but the same each time
    names = ("guest-1", *HOSTILE)
    vms = [Vm(100 * i, 1, Kind.LIBVIRT, name) for i, name in enumerate(names, 1)]
    vcpus = [(vm, vcpu, number(vm.pid + 1 + vcpu, vm.pid)) for vm in vms for vcpu in (0, 1)]
    threads = {n: Thread(vm.pid + 1 + vcpu, vm.pid, vcpu, vm) for vm, vcpu, n in vcpus}
    topology = {cpu: CpuTopology(cpu % 2, cpu % 2, 0, cpu // 2) for cpu in range(cpus)}
    rates = {("vmx", 12): 400, ("vmx", 48): 90, ("vmx", 1): 150, ("vmx", 32): 60, ("vmx", 31): 12}
    medians = {12: 900_000, 48: 4_000, 1: 1_500, 32: 2_200, 31: 1_200, 30: 38_000}
    for second in range(seconds):
        late = second >= seconds // 2
        exits: dict[Code, dict[Place, Exits]] = {}
        for i, (_, _, thread) in enumerate(vcpus):
            now = dict(rates) | ({("vmx", 30): 900} if late and i < 2 else {})
            for code, rate in now.items():
                n = chosen.randrange(rate // 2, 2 * rate)
                detail = {30: 0x3F8, 32: 0x6E0, 31: 0x1B}.get(code[1])
                times = (round(chosen.lognormvariate(0, 0.6) * medians[code[1]]) for _ in range(8))
                place = Place(i % cpus, thread, detail if code[1] in {31, 32} else None)
                exits.setdefault(code, {})[place] = Exits(n, Histogram.of(times))
        slow = tuple(
            SlowExit(
                MOMENT + second - chosen.random(),
                ("vmx", chosen.choice([30, 48, 1])),
                Place(i % cpus, thread),
                round(chosen.lognormvariate(0, 1) * 2_000_000),
            )
            for i, (_, _, thread) in enumerate(vcpus)
            if chosen.random() < 0.05
        )
        spent = {
            thread: VcpuTime(
                500_000_000,
                90_000_000,
                20_000_000,
                100_000_000,
                250_000_000 if late and not i else 0,
            )
            for i, (_, _, thread) in enumerate(vcpus)
        }
        yield attrs.evolve(
            happened({}, threads, cpus=tuple(range(cpus)), time=MOMENT + second),
            exits=exits,
            topology=topology,
            detail="msr",
            timed=True,
            slow=slow,
            vcpu_time=spent,
        )


@cache
def everything() -> str:
    """Return the report on a recording of everything."""
    return html([gathered("big", full(), host="hypervisor-7", kernel="6.12.0")])


def ramp() -> str:
    """Return the report on a CPU whose exits rise from 100 to 800 per second in eight samples."""
    samples = (
        happened({("vmx", 12): {(0, 0): 100 * (i + 1)}}, {}, time=MOMENT + i) for i in range(8)
    )
    return html([gathered("ramp", samples)])
