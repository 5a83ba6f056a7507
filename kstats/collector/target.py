"""The target of a program: a host, its architecture and how its exits can be read."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from kstats import arch as arches
from kstats.arch.base import Arch, ExitSource, Probe
from kstats.collector.feature import Feature, Layout
from kstats.collector.percpu import Counts
from kstats.errors import UnsupportedHostError, UsageError
from kstats.host import Host
from kstats.loader import c_text, program


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


@attrs.frozen(eq=False)
class Target:
    """What to load programs for: a host, its architecture and source, and the probes to try."""

    host: Host
    arch: Arch
    source: ExitSource
    probes: tuple[Probe, ...]

    @classmethod
    def find(cls, host: Host | None = None, *, probe: str | None = None) -> Target:
        """Return the target that this host is; ``probe`` forces one way of reading exits."""
        host = host or Host()
        arch = find_arch(host)
        if probe is not None:
            check_probe(arch, probe)  # report a typo before missing prerequisites
        source = find_source(arch, host)
        return cls(host, arch, source, choose_probes(source, probe))

    def layout(self) -> Layout:
        """Return what programs count by on this host."""
        codes = c_text.slot_codes(self.source.slots)
        return Layout(self.arch.name, self.source.isa, self.host.possible_cpus(), codes)

    def plan(self, features: Sequence[Feature], *, attach: bool = True) -> program.Plan:
        """Join features to a program. Their order does not matter.

        What several features need is in the program once.
        """
        layout = self.layout()
        joined = (Counts(layout), *features)
        defines = {self.source.define: 1} if self.source.define else {}
        probes = self.probes
        for feature in joined:
            defines |= feature.defines
            probes = feature.probes(probes)
        return program.Plan(
            text=c_text.text(
                self.arch,
                self.source,
                files=sorted({file for feature in joined for file in feature.files}),
                generated=sorted(feature.generated for feature in joined),
            ),
            defines=defines,
            probes=probes,
            btf_modules=self.source.modules,
            # By tracepoint: kvm_entry before kvm_exit, so that no counted exit lacks its entry.
            attachments=tuple(sorted({a for f in joined for a in f.attachments})),
            maps=tuple(sorted({name for f in joined for name in f.maps})),
            btf=tuple(dict.fromkeys(field for f in joined for field in f.btf)),
            attach=attach,
        )

    def load(self, features: Sequence[Feature], *, attach: bool = True) -> program.Loaded:
        """Load a program of these features."""
        return program.load(self.plan(features, attach=attach), c_text.headers())

    def notes(self) -> tuple[str, ...]:
        """Return what changed on the host since it was found, a line each."""
        # An attached program keeps the kvm module loaded, but not the vendor module.
        modules = self.source.modules
        if not modules or any(map(self.host.has_module, modules)):
            return ()
        return (f"{' and '.join(modules)} was unloaded: no VM can run until it is loaded again",)
