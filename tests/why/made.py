"""Samples of a VM that does something, as kstats would take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from kstats import arch as arches
from kstats.arch.base import Isa
from kstats.arch.details import Access, Parts
from kstats.histogram import Histogram
from kstats.model import Code, Place, Sample, VcpuTime
from kstats.vms.identity import Kind, Thread, Vm
from tests.samples import placed, sample

ISAS = {isa.name: (arch.name, isa) for arch in arches.BUILT_IN for isa in arch.isas}
VM = Vm(4000, 1, Kind.QEMU, "web")
SECONDS = 10.0


def code(isa: Isa, name: str) -> Code:
    """The code of a reason; ``0x…`` is a number that has no name."""
    if name.startswith("0x"):
        return isa.name, int(name, 16)
    return next((isa.name, r.code) for r in isa.reasons.values() if r.name == name)


def read(number: int, size: int = 0) -> int:
    """The detail of a read, as the kernel counts it."""
    return Parts(Access.READ, size, number).detail


def write(number: int, size: int = 0) -> int:
    """The detail of a write."""
    return Parts(Access.WRITE, size, number).detail


def thread(vcpu: int, vm: Vm = VM) -> int:
    """The thread of a vCPU."""
    return vm.pid << 32 | vm.pid + 1 + vcpu


def guest(  # noqa: PLR0913 - the parts of a sample, most left alone
    isa: str,
    rates: Mapping[str, float] | None = None,
    *,
    details: Mapping[str, Mapping[int, float]] | None = None,
    kind: str = "",
    us: float | None = None,
    time: Mapping[str, float] | None = None,
    events: Mapping[str, float] | None = None,
    counters: Mapping[str, int] | None = None,
    vcpus: int = 2,
    seconds: float = SECONDS,
    vm: Vm = VM,
    cpus: tuple[int, ...] = (0, 1),
    on: Mapping[int, float] | None = None,
    **fields: Any,
) -> Sample:
    """The sample of a VM.

    Args:
        isa: The ISA of its exits.
        rates: Exits per vCPU-second by reason.
        details: The same by reason, then by detail, of ``kind``.
        kind: The kind of detail.
        us: How long each exit takes, microseconds; None if latency was not measured.
        time: The shares of the states of vCPUs' time; None if it was not measured.
        events: Firings per vCPU-second by label.
        counters: The increase of KVM's own counters of the VM.
        vcpus: How many vCPUs it has, each with the same exits.
        seconds: How long it was measured.
        vm: Its name and process.
        cpus: The CPUs of its host.
        on: Weights of CPUs, if the exits are not spread evenly over ``cpus``.
        fields: Other fields of the sample.
    """
    arch, known = ISAS[isa]
    weights = dict.fromkeys(cpus, 1.0) if on is None else dict(on)
    share = {cpu: weight / sum(weights.values()) for cpu, weight in weights.items()}
    threads = [thread(vcpu, vm) for vcpu in range(vcpus)]
    counts: dict[Code, dict[tuple[int, ...], int]] = {}
    for name, rate in (rates or {}).items():
        counts[code(known, name)] = {
            (cpu, number): round(rate * seconds * share[cpu]) for number in threads for cpu in share
        }
    for name, numbers in (details or {}).items():
        row = counts.setdefault(code(known, name), {})
        for number in threads:
            for detail, rate in numbers.items():
                row[cpus[0], number, detail] = round(rate * seconds)
    latencies: dict[Code, dict[tuple[int, ...], Histogram]] = {
        key: {
            (-1, number): _latency(us, sum(n for at, n in row.items() if at[1] == number))
            for number in threads
        }
        for key, row in counts.items()
        if us is not None
    }
    made = sample({}, arch=arch, cpus=cpus, elapsed=seconds)
    spent = (
        None if time is None else VcpuTime(**{s: round(p * seconds * 1e9) for s, p in time.items()})
    )
    return attrs.evolve(
        made,
        isa=isa,
        exits=placed(counts, latencies),
        threads={
            number: Thread(number & 0xFFFF_FFFF, vm.pid, vcpu, vm)
            for vcpu, number in enumerate(threads)
        },
        timed=us is not None,
        detail=kind,
        vcpu_time=None if spent is None else dict.fromkeys(threads, spent),
        events={
            label: {Place(cpus[0], number): round(rate * seconds) for number in threads}
            for label, rate in (events or {}).items()
        },
        vm_counters={vm.pid: {"observed": round(seconds * 1e9), **counters}} if counters else {},
        **fields,
    )


def _latency(us: float | None, n: int) -> Histogram:
    ns = round((us or 0) * 1000)
    one = Histogram.of([ns])
    bucket = next(iter(one.buckets))
    return Histogram({bucket: n}, ns * n, ns, ns) if n else Histogram()
