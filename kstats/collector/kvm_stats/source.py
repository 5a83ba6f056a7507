"""By how much KVM's own counters grew: samples that cost the guest nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import ClassVar, Self

from kstats.collector.kvm_stats.reader import Snapshot, VcpuStats
from kstats.collector.live import Target
from kstats.model import Sample
from kstats.vms import kvm_fds
from kstats.vms.identity import Vcpu


class KernelCounters:
    """Reads the counters of every vCPU from its making until :meth:`close`.

    Raises:
        KstatsError: anything that keeps it from reading them, with a hint.
    """

    counted: ClassVar[tuple[str, ...]] = ("counters",)

    def __init__(
        self, target: Target, pids: Collection[int] = (), stats: VcpuStats | None = None
    ) -> None:
        """Takes the first reading; what grows is counted from here.

        ``pids`` are the processes whose vCPUs are wanted; empty for all.
        """
        self.target = target
        self._pids = pids
        self._stats = stats or VcpuStats(target.host)
        self._last = self._stats.read()
        self._before: dict[Vcpu, Mapping[str, int]] = dict(self._last.vcpus)
        self._said: tuple[str, ...] = ()

    def sample(self) -> Sample:
        """By how much they grew since the last call, or since the making."""
        before, now = self._last, self._stats.read()
        grown = {vcpu: self._grown(vcpu, of, before) for vcpu, of in now.vcpus.items()}
        grown |= {vcpu: {} for vcpu in now.silent}
        notes = (*self._notes(now), *self._farewells(now))
        self._last, self._said = now, now.notes
        self._before |= now.vcpus
        return Sample(
            arch=self.target.arch.name,
            time=now.time,
            elapsed=now.monotonic - before.monotonic,
            cpus=self.target.host.online_cpus(),
            entries={},
            exits={},
            isa=self.target.source.isa,
            counters={vcpu: of for vcpu, of in grown.items() if self._wants(vcpu.pid)},
            notes=notes,
        )

    def _grown(self, vcpu: Vcpu, now: Mapping[str, int], last: Snapshot) -> dict[str, int]:
        """By how much one vCPU's counters grew; a new one's began at zero."""
        old = self._before.get(vcpu, {})
        if not old and any(vcpu[:3] == silent[:3] for silent in last.silent):
            return {}  # its VMM opened them only now: nobody knows what they were before
        if any(now[name] < n for name, n in old.items()):
            old = {}  # another VM has the descriptor's number
        return {name: n - old.get(name, 0) for name, n in now.items()}

    def _notes(self, now: Snapshot) -> Iterator[str]:
        """What is not in the sample, a line each, unless the last sample said so."""
        yield from (note for note in now.notes if note not in self._said)
        yield from self.target.notes()

    def _farewells(self, now: Snapshot) -> Iterator[str]:
        """Says that what a VM did last is not known: its counters went with it."""
        gone = {vcpu for vcpu in self._before.keys() - now.vcpus.keys() if self._has_ended(vcpu)}
        for vcpu in gone:
            del self._before[vcpu]
        for pid in sorted(filter(self._wants, {vcpu.pid for vcpu in gone})):
            yield f"process {pid} ended: what its vCPUs did since the last report is not known"

    def _wants(self, pid: int) -> bool:
        return not self._pids or pid in self._pids

    def _has_ended(self, vcpu: Vcpu) -> bool:
        return kvm_fds.start_time(self.target.host, vcpu.pid) != vcpu.start_time

    def description(self) -> Iterator[str]:
        """What is read, in a line."""
        known = len(self._last.vcpus)
        yield f"{self.target.source.isa} counters of {known} vCPUs through their VMMs' descriptors"

    def close(self) -> None:
        """Lets go of the VMMs; doing it twice is fine."""
        self._stats.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
