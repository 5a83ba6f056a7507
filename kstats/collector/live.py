"""Live samples: a program of features that runs in this host's kernel."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import attrs

from kstats.collector.feature import Feature
from kstats.collector.percpu import Counts, CountsReader
from kstats.collector.target import Target
from kstats.loader import program

if TYPE_CHECKING:
    # A start ends with attached programs; what comes then is imported when it is needed.
    from kstats.collector.draft import Draft
    from kstats.collector.first_exits import FirstExits
    from kstats.collector.shares import Shares
    from kstats.facts.reader import FactReader
    from kstats.model import Sample
    from kstats.privileges import Need
    from kstats.vms.identity import Thread
    from kstats.vms.registry import VmRegistry


class Readings:
    """Readings of a loaded program, and samples of what happened between two of them."""

    def __init__(self, target: Target, features: Sequence[Feature], loaded: program.Loaded) -> None:
        """Take the first reading."""
        self._host = target.host
        self._layout = target.layout()
        self._features = in_order((Counts(self._layout), *features))
        self._readers = [f.reader(loaded, self._layout) for f in self._features]
        self._last = [read() for read in self._readers]

    def sample(self) -> Sample:
        """Return what happened since the last call."""
        from kstats.collector.draft import Draft  # noqa: PLC0415 - see above

        before, self._last = self._last, [read() for read in self._readers]
        draft = Draft(self._layout, self._host.online_cpus())
        return filled(draft, zip(self._features, before, self._last, strict=True))


def in_order(features: Iterable[Feature]) -> list[Feature]:
    """Return features in the order in which they are read."""
    return sorted(features, key=lambda feature: feature.phase)


def filled(draft: Draft, readings: Iterable[tuple[Feature, Any, Any]]) -> Sample:
    """Return a sample of (feature, reading, later reading) in the order of reading."""
    for feature, before, now in reversed(list(readings)):
        feature.fill(draft, before, now)
    return draft.sample()


class Collector:
    """Measures from its making until :meth:`close`.

    Raises:
        KstatsError: Whatever prevents that, with a hint.
    """

    def __init__(
        self,
        target: Target,
        features: Sequence[Feature],
        vms: VmRegistry | None = None,
        pids: Collection[int] = (),
        facts: FactReader | None = None,
    ) -> None:
        """Load and attach a program of these features.

        Args:
            target: This host.
            features: What to measure, in any order.
            vms: With it, samples contain the VM and vCPU of their threads, and vCPUs without an
                exit.
            pids: Only vCPUs of these processes; empty for all.
            facts: With it and ``vms``, samples contain facts about the host and its VMs.
        """
        self.target = target
        self._features = features
        self._vms = vms
        self._pids = pids
        self._facts = facts
        if facts and vms:
            facts.fields(vcpu_threads(vms, pids))
        self.loaded = target.load(features)
        self._readings = Readings(target, features, self.loaded)
        self._first_exits = self._watched(vms) if vms else None
        self._shares = self._shared()

    def _watched(self, vms: VmRegistry) -> FirstExits | None:
        # Only programs that count by thread need it: kstats cpu starts without it.
        from kstats.collector.first_exits import FirstExits  # noqa: PLC0415

        if FirstExits.MAP not in self.loaded.maps:
            return None
        return FirstExits(self.loaded, vms, len(self.target.host.possible_cpus()))

    def _shared(self) -> Shares | None:
        from kstats.collector.shares import Shares  # noqa: PLC0415 - see above

        return Shares(self.loaded) if Shares.MAP in self.loaded.maps else None

    @property
    def counted(self) -> tuple[str, ...]:
        """Return what samples contain: names that views require, such as ``entries``."""
        return tuple(name for feature in self._features for name in feature.counted)

    def sample(self) -> Sample:
        """Return what happened since the last call, or since the collector was made."""
        sample = self._readings.sample()
        return attrs.evolve(
            sample,
            notes=self.target.notes(),
            topology=self.target.host.topology(sample.cpus),
            vm_dropped=self._shares.settle() if self._shares else {},
            **self._identified(sample),
        )

    def _identified(self, sample: Sample) -> dict[str, Any]:
        """Return the fields of a sample that say which threads it is about."""
        if self._vms is None:
            return {}
        if self._first_exits:
            self._first_exits.take()
        fields = identified(sample, self._vms, self._pids)
        if self._first_exits:
            fields["names_dropped"] = self._first_exits.settle()
        if self._facts:
            live = fields["threads"].keys() - fields["ended"]
            fields |= self._facts.fields({number: fields["threads"][number] for number in live})
        return fields

    def follow(self) -> None:
        """Look up threads as they appear, so that VMs are known that end before the next sample.

        Without it, threads are looked up when a sample is taken.
        """
        if self._first_exits:
            self._first_exits.follow()

    def description(self) -> Iterator[str]:
        """Yield lines on the loader and the probe, with why not others, and on the programs."""
        loaded = self.loaded
        yield f"loaded by {loaded.loader}"
        yield from (f"not loaded by {name}: {why}" for name, why in loaded.unavailable)
        yield from loaded.log.splitlines()
        yield f"{self.target.source.isa} exits through {loaded.probe}"
        yield from (f"not through {name}: {why}" for name, why in loaded.rejected)
        yield from (f"not counted: {why}" for _, why in loaded.absent)
        yield from (f"{name}={value}" for name, value in loaded.numbers.items())
        for info in loaded.program_infos():
            size = f"{info.jited_size} bytes of machine code"
            yield f"{info.name}: {info.verified_instructions} instructions verified, {size}"

    def needs(self) -> Iterator[Need]:
        """Yield what :meth:`sample` may need capabilities for."""
        from kstats.privileges import Capability, Need  # noqa: PLC0415 - see above

        yield Need("reads BPF maps", (Capability.BPF, Capability.SYS_ADMIN), self._can_read)
        if self._vms is not None:
            # Processes of other users are hidden from us where /proc is mounted with hidepid.
            can_see = self._vms.can_see_processes
            yield Need("finds processes in /proc", (Capability.SYS_PTRACE,), can_see)

    def _can_read(self) -> bool:
        try:
            CountsReader(self.loaded, self.target.layout()).read()
        except PermissionError:
            return False
        return True

    def close(self) -> None:
        """Detach; calling it again has no effect."""
        if self._first_exits:
            self._first_exits.close()
        self.loaded.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def vcpu_threads(vms: VmRegistry, pids: Collection[int] = ()) -> dict[int, Thread]:
    """Return the threads of vCPUs by pid_tgid: of all processes, or of ``pids``."""
    wanted = (vcpus for vm, vcpus in vms.vms().items() if not pids or vm.pid in pids)
    return {t.pid << 32 | t.tid: t for vcpus in wanted for t in vcpus}


def identified(sample: Sample, vms: VmRegistry, pids: Collection[int] = ()) -> dict[str, Any]:
    """Return the threads of a sample and which of them have ended, as fields of it."""
    from kstats.meaning import counted_threads  # noqa: PLC0415 - see above

    # The counters have been read: what was counted by now can be identified.
    vms.refresh()
    known = vcpu_threads(vms, pids)
    unknown = counted_threads(sample) - known.keys()
    strangers = {number: (number >> 32, number & 0xFFFF_FFFF) for number in unknown}
    known |= {number: vms.thread(*ids) for number, ids in strangers.items()}
    ended = {number for number, ids in strangers.items() if vms.has_ended(*ids)}
    return {"threads": known, "ended": frozenset(ended)}
