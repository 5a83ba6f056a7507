"""Samples of this host, for the exporter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from kstats.collector.kvm_stats.source import KernelCounters
from kstats.collector.live import Collector, identified
from kstats.collector.overhead import usage
from kstats.exporter.feed import About
from kstats.model import MapUsage, Sample
from kstats.vms.registry import VmRegistry


class Counted:
    """What a collector counts with BPF programs."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        target = collector.target
        self._cpus = len(target.host.possible_cpus())
        self.counted = collector.counted
        self.about = About(
            arch=target.arch.name,
            isa=target.source.isa,
            probe=collector.loaded.probe,
            loader=collector.loaded.loader,
            kernel=target.host.kernel(),
        )

    def samples(self) -> Iterator[Sample]:
        """Yield a sample."""
        yield self._collector.sample()

    def maps(self) -> Mapping[str, MapUsage]:
        """Return the usage of each hash and of the tables of threads."""
        return usage(self._collector.loaded, self._cpus)

    def close(self) -> None:
        """Detach the programs."""
        self._collector.close()


class Kernel:
    """KVM's own counters, with the VMs of their vCPUs."""

    def __init__(self, counters: KernelCounters, vms: VmRegistry) -> None:
        self._counters = counters
        self._vms = vms
        target = counters.target
        self.counted = counters.counted
        self.about = About(
            arch=target.arch.name, isa=target.source.isa, kernel=target.host.kernel()
        )

    def samples(self) -> Iterator[Sample]:
        """Yield a sample."""
        sample = self._counters.sample()
        yield attrs.evolve(sample, **identified(sample, self._vms))

    def maps(self) -> Mapping[str, MapUsage]:
        """Return nothing: there are no maps."""
        return {}

    def close(self) -> None:
        """Release the VMMs."""
        self._counters.close()
