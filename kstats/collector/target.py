"""The target of a program: a host, its architecture and how its exits can be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from kstats import arch as arches
from kstats.arch.base import Arch, ExitSource, Probe
from kstats.collector.feature import Feature
from kstats.collector.layout import Layout
from kstats.collector.percpu import Counts
from kstats.errors import LoadError, UnsupportedHostError, UsageError
from kstats.host import Host
from kstats.loader import c_text, program
from kstats.loader.plan import Attachment, Plan, Source
from kstats.loader.process import LOADERS, Worker


def find_arch(host: Host) -> Arch:
    """Return the architecture of this host's machine.

    Raises:
        UnsupportedHostError: No backend supports the machine.
    """
    arch = arches.for_machine(host.machine)
    if arch is None:
        known = ", ".join(sorted(m for a in arches.arches() for m in a.machines))
        raise UnsupportedHostError(
            f"no backend for machine {host.machine!r}", f"known machines: {known}"
        )
    return arch


def find_source(arch: Arch, host: Host) -> ExitSource:
    """Return the source of exits of this host's KVM.

    Raises:
        UnsupportedHostError: KVM or its vendor module is not loaded, or never fires kvm_exit.
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
    """Raise UsageError if no source of ``arch`` has a probe with that name."""
    known = dict.fromkeys(probe.name for source in arch.sources for probe in source.probes)
    if name not in known:
        raise UsageError(f"{arch.name} has no probe {name!r}", f"known: {', '.join(known)}")


def check_loader(name: str) -> None:
    """Raise UsageError if there is no loader with that name."""
    if name not in LOADERS:
        known = ", ".join(LOADERS)
        raise UsageError(f"there is no loader {name!r}", f"known: {known}")


def choose_probes(source: ExitSource, forced: str | None) -> tuple[Probe, ...]:
    """Return the probes to try: the forced one, or all of the source.

    Raises:
        UsageError: The source has no such probe.
    """
    if forced is None:
        return source.probes
    chosen = tuple(probe for probe in source.probes if probe.name == forced)
    if not chosen:
        names = ", ".join(probe.name for probe in source.probes)
        raise UsageError(f"{source.isa} has no probe {forced!r}", f"known: {names}")
    return chosen


def selected_threads(features: Iterable[Feature]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the process IDs and the thread IDs that the kernel is to count, ascending.

    Raises:
        ValueError: The kernel cannot select them so: it knows neither VMs nor vCPU numbers.
    """
    wanted = next((f.wanted for f in features if f.wanted), None)
    if wanted is None:
        return (), ()
    if wanted.vcpu is not None or wanted.vm is not None:
        raise ValueError(f"{wanted} selects by more than process and thread ID")
    return tuple(sorted(wanted.pids)), tuple(sorted(wanted.tids))


def _turn(attachment: Attachment) -> tuple[bool, Attachment]:
    """Return when to attach a function, as a key to sort by.

    kvm_userspace_exit comes first, so that no return after a counted exit is overlooked; then, by
    name, kvm_entry before kvm_exit, so that no counted exit lacks its entry.
    """
    return attachment.tracepoint != "kvm_userspace_exit", attachment


@attrs.frozen(eq=False)
class Target:
    """What to load programs for: a host, its architecture and source, and the probes to try.

    ``loader`` is one of :data:`kstats.loader.process.LOADERS`, or None for the best; ``started`` is
    a worker that has been started early.
    """

    host: Host
    arch: Arch
    source: ExitSource
    probes: tuple[Probe, ...]
    loader: str | None = None
    started: Worker | None = None

    @classmethod
    def find(
        cls,
        host: Host | None = None,
        *,
        probe: str | None = None,
        loader: str | None = None,
        started: Worker | None = None,
    ) -> Target:
        """Return the target that this host is.

        ``probe`` forces one way of reading exits, and ``loader`` one way of loading programs.
        """
        host = host or Host()
        arch = find_arch(host)
        # Report typos before missing prerequisites.
        if probe is not None:
            check_probe(arch, probe)
        if loader is not None:
            check_loader(loader)
        source = find_source(arch, host)
        return cls(host, arch, source, choose_probes(source, probe), loader, started)

    def layout(self) -> Layout:
        """Return what programs count by on this host."""
        codes = c_text.slot_codes(self.source.slots)
        return Layout(self.arch.name, self.source.isa, self.host.possible_cpus(), codes)

    def plan(self, features: Sequence[Feature], *, attach: bool = True) -> Plan:
        """Join features to a program. Their order does not matter.

        What several features need is in the program once. A prebuilt object may contain more
        functions (:meth:`kstats.collector.feature.Feature.companions`): they cost nothing where
        they are not loaded, and one object then serves several views.
        """
        joined = (Counts(self.layout()), *features)
        numbers: dict[str, int] = {}
        probes = self.probes
        for feature in joined:
            numbers |= feature.numbers
            probes = feature.probes(probes)
        pids, tids = selected_threads(joined)
        source = self._source(joined)
        companions = [c for f in features for c in f.companions(self.arch, self.source.isa)]
        return Plan(
            text=source.text,
            defines=source.defines,
            probes=probes,
            btf_modules=self.source.modules,
            attachments=tuple(sorted({a for f in joined for a in f.attachments}, key=_turn)),
            maps=tuple(sorted({one for f in joined for one in f.maps})),
            numbers=numbers,
            btf=tuple(sorted({field for f in joined for field in f.btf})),
            pids=pids,
            tids=tids,
            attach=attach,
            objects=self.arch.objects,
            prebuilt=self._source((*joined, *companions)) if companions else None,
        )

    def _source(self, features: Sequence[Feature]) -> Source:
        """Return the C of features, without what several of them need twice."""
        defines = {self.source.define: 1} if self.source.define else {}
        for feature in features:
            defines |= feature.defines
        text = c_text.text(
            self.arch,
            self.source,
            files=sorted({file for feature in features for file in feature.files}),
            generated=sorted({feature.generated for feature in features}),
        )
        return Source(text, defines)

    def load(self, features: Sequence[Feature], *, attach: bool = True) -> program.Loaded:
        """Load a program of these features."""
        try:
            return program.load(self.plan(features, attach=attach), self.loader, self.started)
        except LoadError as error:
            if self.host.lockdown() == "confidentiality":
                error.hint = "kernel lockdown forbids BPF to read memory: boot lockdown=integrity"
            raise

    def notes(self) -> tuple[str, ...]:
        """Return what changed on the host since it was found, a line each."""
        # An attached program keeps the kvm module loaded, but not the vendor module.
        modules = self.source.modules
        if not modules or any(map(self.host.has_module, modules)):
            return ()
        return (f"{' and '.join(modules)} was unloaded: no VM can run until it is loaded again",)
