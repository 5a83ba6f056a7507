"""A made-up host for the exporter: 256 CPUs, 100 VMs of 8 vCPUs, all busy with 15 exit reasons."""

from __future__ import annotations

from collections.abc import Iterator

from kstats import arch as arches
from kstats.exporter.feed import About
from kstats.exporter.sampler import Sampler
from kstats.exporter.settings import Settings
from kstats.model import MapUsage, Place, Sample, VcpuTime, count_only
from kstats.vms.identity import Kind, Thread, Vm

CPUS, VMS, VCPUS, REASONS = 256, 100, 8, 15
SETTINGS = Settings(vcpus=True, time=True)


class Busy:
    """A feed in whose samples everything happened."""

    about = About(arch="x64", isa="vmx", probe="raw-cast", loader="bpf", kernel="6.12")
    counted = ("entries", "exits", "threads", "vcpu_time")

    def __init__(self) -> None:
        vms = [Vm(1000 + n, 1, Kind.LIBVIRT, f"instance-{n:08x}", 9) for n in range(VMS)]
        threads = {
            vm.pid << 32 | 5000 + 100 * vm.pid + vcpu: Thread(5000, vm.pid, vcpu, vm)
            for vm in vms
            for vcpu in range(VCPUS)
        }
        codes = [reason.code for reason in arches.isa("vmx").reasons.values()][:REASONS]
        self._sample = Sample(
            arch="x64",
            isa="vmx",
            time=1.77e9,
            elapsed=15.0,
            cpus=tuple(range(CPUS)),
            entries={cpu: REASONS * cpu for cpu in range(CPUS)},
            exits={
                ("vmx", code): {
                    Place(n % CPUS, thread): count_only(1000 * n + code)
                    for n, thread in enumerate(threads)
                }
                for code in codes
            },
            threads=threads,
            vcpu_time=dict.fromkeys(threads, VcpuTime(12345, 23456, 34567, 45678, 56789)),
        )

    def samples(self) -> Iterator[Sample]:
        """Yield the sample."""
        yield self._sample

    def maps(self) -> dict[str, MapUsage]:
        """Return nothing."""
        return {}

    def close(self) -> None:
        """Do nothing."""


def sampler() -> Sampler:
    """Return a sampler of the busy host."""
    return Sampler(Busy, SETTINGS)
