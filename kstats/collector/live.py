"""A live collector: chooses what to load on this host, loads it and yields samples."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol, Self

import attrs

from kstats import arch as arches
from kstats.arch.base import Arch, BtfField, ExitSource, Probe
from kstats.collector import details, percpu, threads, tracepoints
from kstats.errors import UnsupportedHostError, UsageError
from kstats.fields import counted_threads
from kstats.host import Host
from kstats.loader import c_text, program
from kstats.model import Sample
from kstats.vms.registry import VmRegistry


def find_arch(host: Host) -> Arch:
    """The architecture that this host's machine belongs to.

    Raises:
        UnsupportedHostError: no backend knows the machine.
    """
    arch = arches.for_machine(host.machine)
    if arch is None:
        known = ", ".join(sorted(m for a in arches.arches() for m in a.machines))
        raise UnsupportedHostError(
            f"no backend for machine {host.machine!r}", f"known machines: {known}"
        )
    return arch


def find_source(arch: Arch, host: Host) -> ExitSource:
    """The source of exits that this host's KVM is.

    Raises:
        UnsupportedHostError: KVM or its vendor module is missing, or one that never fires.
    """
    present = [s for s in arch.sources if not s.modules or any(map(host.has_module, s.modules))]
    if len(present) > 1:
        flags = host.cpu_flags()
        present = [source for source in present if source.cpu_flag in flags]
    if not present:
        raise _no_source(arch, host)
    if not host.has_kvm():
        raise UnsupportedHostError(
            "KVM did not initialise on this host (there is no kvm device)",
            "see dmesg | grep -i kvm; virtualisation must be enabled in the firmware, "
            "and on ARM64 the kernel must boot at EL2",
        )
    return present[0]


def _no_source(arch: Arch, host: Host) -> UnsupportedHostError:
    for module, advice in arch.silent_modules.items():
        if host.has_module(module):
            return UnsupportedHostError(
                f"KVM runs with {module} here, which never fires kvm_exit: no exits to count",
                advice,
            )
    flags = host.cpu_flags()
    wanted = [m for s in arch.sources if s.cpu_flag in flags for m in s.modules]
    if wanted:
        return UnsupportedHostError("KVM is not loaded", f"load it: modprobe {wanted[0]}")
    return UnsupportedHostError(
        "KVM is not loaded and this CPU offers no hardware virtualisation",
        "enable it in the firmware, or nested virtualisation in the hypervisor above",
    )


def check_probe(arch: Arch, name: str) -> None:
    """Raises UsageError if no source of ``arch`` has a probe of that name."""
    known = dict.fromkeys(probe.name for source in arch.sources for probe in source.probes)
    if name not in known:
        raise UsageError(f"{arch.name} has no probe {name!r}", f"known: {', '.join(known)}")


def choose_probes(source: ExitSource, forced: str | None) -> tuple[Probe, ...]:
    """The probes to try: all of the source's, or the one that is asked for.

    Raises:
        UsageError: the source has no probe of that name.
    """
    if forced is None:
        return source.probes
    chosen = tuple(probe for probe in source.probes if probe.name == forced)
    if not chosen:
        names = ", ".join(probe.name for probe in source.probes)
        raise UsageError(f"{source.isa} has no probe {forced!r}", f"known: {names}")
    return chosen


class Counting(Protocol):
    """What to load for a kind of counting, and how to read it: see percpu.py and threads.py.

    A snapshot is whatever the reader takes; only this counting looks into it.
    """

    @property
    def files(self) -> Sequence[str]:
        """The files of bpf/ after the architecture's."""

    @property
    def generated(self) -> str:
        """C before those files that depends on what is asked for."""

    @property
    def defines(self) -> dict[str, int]:
        """Preprocessor definitions."""

    @property
    def maps(self) -> tuple[str, ...]:
        """The maps to read."""

    @property
    def btf(self) -> tuple[BtfField, ...]:
        """Offsets that the files need beside those of the probe."""

    @property
    def attachments(self) -> tuple[program.Attachment, ...]:
        """Which function runs where."""

    @property
    def counted(self) -> tuple[str, ...]:
        """Fields of its samples that others leave empty, and ``threads`` if it knows them."""

    def reader(self, loaded: program.Loaded) -> Any:
        """What takes snapshots of the loaded program."""

    def sample(self, before: Any, now: Any, online: tuple[int, ...]) -> Sample:
        """What was counted between two snapshots."""


@attrs.frozen(eq=False)
class Target:
    """What to load where: a host, its architecture, one of its sources, and the probes to try."""

    host: Host
    arch: Arch
    source: ExitSource
    probes: tuple[Probe, ...]

    @classmethod
    def find(cls, host: Host | None = None, *, probe: str | None = None) -> Target:
        """The target that this host is; ``probe`` forces one way of reading exits."""
        host = host or Host()
        arch = find_arch(host)
        if probe is not None:
            check_probe(arch, probe)  # a slip of the pen is told before what the host lacks
        source = find_source(arch, host)
        return cls(host, arch, source, choose_probes(source, probe))

    def load(self, counting: Counting | None = None, *, attach: bool = True) -> program.Loaded:
        """Loads what ``counting`` needs: the per-CPU program, if nothing else is asked for."""
        counting = counting or self.per_cpu()
        source_define = {self.source.define: 1} if self.source.define else {}
        plan = program.Plan(
            text=c_text.text(self.arch, self.source, counting.files, counting.generated),
            defines=counting.defines | source_define,
            probes=self.probes,
            btf_modules=self.source.modules,
            attachments=counting.attachments,
            maps=counting.maps,
            btf=counting.btf,
            attach=attach,
        )
        return program.load(plan, c_text.headers())

    def per_cpu(self) -> percpu.PerCpu:
        """Counting per physical CPU on this host."""
        return percpu.PerCpu(self.layout())

    def per_thread(
        self, wanted: threads.Filter | None = None, entries: int = threads.MORE_THREADS
    ) -> threads.PerThread:
        """Counting per thread and CPU on this host, of the threads that are wanted.

        ``entries`` is how many counters the shared map holds, and at most each CPU's own table.
        """
        size = threads.table_size(entries)
        return threads.PerThread(self.layout(), wanted or threads.Filter(), size, entries)

    def everything(self, wanted: threads.Filter | None = None) -> threads.PerThread:
        """Counting what every view can use: exits per thread and CPU, and entries per CPU."""
        return self.per_thread(wanted).with_entries()

    def telling(
        self, kind: str, exits: threads.PerThread
    ) -> tuple[Self, details.PerThreadWithDetails]:
        """Counting ``exits`` also by the details of that kind, and the target to load it to.

        Raises:
            UsageError: exits of this host do not tell them.
        """
        source = details.find(self.source, self.probes, kind)
        counting = details.PerThreadWithDetails(exits, source, self.arch.bpf_detail)
        return attrs.evolve(self, probes=source.probes), counting

    def per_vcpu(self, wanted: threads.Filter | None = None) -> tracepoints.PerThreadWithEvents:
        """Counting what kvmstat's columns are made of, of the threads that are wanted."""
        rules = self.arch.kvmstat.get(self.source.isa, ())
        found = dict.fromkeys(event for rule in rules for event in rule.events)
        return tracepoints.PerThreadWithEvents(self.per_thread(wanted), tuple(found))

    def layout(self) -> percpu.Layout:
        """What programs count by on this host: its CPUs, and the codes of the source."""
        codes = c_text.slot_codes(self.source.slots)
        return percpu.Layout(self.arch.name, self.source.isa, self.host.possible_cpus(), codes)

    def notes(self) -> tuple[str, ...]:
        """What changed on the host since it was found, a line each."""
        # An attached program keeps the kvm module in, but the vendor module may leave and return.
        modules = self.source.modules
        if not modules or any(map(self.host.has_module, modules)):
            return ()
        return (f"{' and '.join(modules)} was unloaded: no VM can run until it is loaded again",)


class Collector:
    """Counts from its making until :meth:`close`: per physical CPU, or as ``counting`` says.

    Raises:
        KstatsError: anything that keeps it from counting, with a hint.
    """

    def __init__(
        self,
        target: Target,
        counting: Counting | None = None,
        directory: VmRegistry | None = None,
        pids: Collection[int] = (),
    ) -> None:
        """Loads and attaches; counting begins here.

        With a ``directory``, samples say who their threads are, and which vCPUs did not exit: of
        the processes ``pids``, or of all.
        """
        self.target = target
        self._directory = directory
        self._pids = pids
        self._counting = counting or target.per_cpu()
        self.loaded = target.load(self._counting)
        self._reader = self._counting.reader(self.loaded)
        self._last = self._reader.snapshot()

    @property
    def counted(self) -> tuple[str, ...]:
        """What samples have that others lack: ``entries``, ``exits``, ``threads``, and so on."""
        return self._counting.counted

    def sample(self) -> Sample:
        """What was counted since the last call, or since the making."""
        now = self._reader.snapshot()
        before, self._last = self._last, now
        sample = self._counting.sample(before, now, self.target.host.online_cpus())
        notes = (*sample.notes, *self.target.notes())
        topology = self.target.host.topology(sample.cpus)
        sample = attrs.evolve(sample, notes=notes, topology=topology)
        return attrs.evolve(sample, **_identified(sample, self._directory, self._pids))

    def description(self) -> Iterator[str]:
        """Which probe, why not a better one, offsets, sizes of the programs: a line each."""
        loaded = self.loaded
        yield f"{self.target.source.isa} exits through {loaded.probe}"
        yield from (f"not through {name}: {why}" for name, why in loaded.rejected)
        yield from (f"not counted: {why}" for _, why in loaded.absent)
        yield from (f"{name}={value}" for name, value in loaded.defines.items())
        for info in loaded.program_infos():
            size = f"{info.jited_size} bytes of machine code"
            yield f"{info.name}: {info.verified_instructions} instructions verified, {size}"

    def close(self) -> None:
        """Detaches; doing it twice is fine."""
        self.loaded.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _identified(
    sample: Sample, directory: VmRegistry | None, pids: Collection[int]
) -> dict[str, Any]:
    """Who the threads of a sample are, and which of them have ended, as fields of it."""
    if directory is None:
        return {}
    # After the counters were read: so whoever was counted could be looked at.
    directory.refresh()
    wanted = (vcpus for vm, vcpus in directory.vms().items() if not pids or vm.pid in pids)
    known = {t.pid << 32 | t.tid: t for vcpus in wanted for t in vcpus}
    strangers = {number: _whose(number) for number in counted_threads(sample) - known.keys()}
    known |= {number: directory.thread(*whose) for number, whose in strangers.items()}
    ended = {number for number, whose in strangers.items() if directory.has_ended(*whose)}
    return {"threads": known, "ended": frozenset(ended)}


def _whose(number: int) -> tuple[int, int]:
    return number >> 32, number & 0xFFFF_FFFF
