"""Samples of KVM's own counters, which cost the guest nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import ClassVar, Self

from kstats.collector.kvm_stats.reader import Snapshot, VcpuStats
from kstats.collector.target import Target
from kstats.model import Sample
from kstats.privileges import Capability, Need
from kstats.vms.identity import Vcpu
from kstats.vms.proc import Proc


class KernelCounters:
    """Reads the counters of every vCPU until :meth:`close`.

    Raises:
        KstatsError: the counters cannot be read; with a hint.
    """

    counted: ClassVar[tuple[str, ...]] = ("counters",)

    def __init__(
        self, target: Target, pids: Collection[int] = (), stats: VcpuStats | None = None
    ) -> None:
        """Take the first reading, from which the first sample counts.

        Samples contain the vCPUs of the processes ``pids``, or of all if it is empty.
        """
        self.target = target
        self._pids = pids
        self._stats = stats or VcpuStats(target.host)
        self._proc = Proc(target.host.root)
        self._last = self._stats.read()
        self._before: dict[Vcpu, Mapping[str, int]] = dict(self._last.vcpus)
        self._noted: tuple[str, ...] = ()

    def sample(self) -> Sample:
        """Return by how much the counters grew since the last call, or since the first reading."""
        before, now = self._last, self._stats.read()
        grown = {vcpu: self._grown(vcpu, of, before) for vcpu, of in now.vcpus.items()}
        grown |= {vcpu: {} for vcpu in now.silent}
        notes = (*self._notes(now), *self._ended_notes(now))
        self._last, self._noted = now, now.notes
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
        """Return by how much one vCPU's counters grew; those of a new vCPU started at zero."""
        old = self._before.get(vcpu, {})
        if not old and any(vcpu[:3] == silent[:3] for silent in last.silent):
            return {}  # opened since the last reading: earlier values are unknown
        if any(now[name] < n for name, n in old.items()):
            old = {}  # the descriptor's number was used again, for another VM
        return {name: n - old.get(name, 0) for name, n in now.items()}

    def _notes(self, now: Snapshot) -> Iterator[str]:
        """Yield what is missing from the sample, except what the last sample reported."""
        yield from (note for note in now.notes if note not in self._noted)
        yield from self.target.notes()

    def _ended_notes(self, now: Snapshot) -> Iterator[str]:
        """Yield the VMs that ended, and forget them. Their last counts ended with them."""
        gone = {vcpu for vcpu in self._before.keys() - now.vcpus.keys() if self._has_ended(vcpu)}
        for vcpu in gone:
            del self._before[vcpu]
        for pid in sorted(filter(self._wants, {vcpu.pid for vcpu in gone})):
            yield f"process {pid} ended: its counts since the last report are unknown"

    def _wants(self, pid: int) -> bool:
        return not self._pids or pid in self._pids

    def _has_ended(self, vcpu: Vcpu) -> bool:
        return self._proc.start(vcpu.pid) != vcpu.start

    def description(self) -> Iterator[str]:
        """Yield one line on what is read, for --debug."""
        known = len(self._last.vcpus)
        yield f"{self.target.source.isa} counters of {known} vCPUs through their VMMs' descriptors"

    def needs(self) -> Iterator[Need]:
        """Yield what :meth:`sample` needs capabilities for."""
        yield Need("copies descriptors of VMMs", (Capability.SYS_PTRACE,))
        listing = (Capability.DAC_READ_SEARCH, Capability.DAC_OVERRIDE)
        yield Need("lists descriptors of VMMs", listing)

    def follow(self) -> None:
        """Do nothing: counters of VMs that end between samples are not known."""

    def close(self) -> None:
        """Release the VMMs; may be called twice."""
        self._stats.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
