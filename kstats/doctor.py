"""Check whether ``kstats cpu`` works on a host, and suggest fixes."""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Iterator

import attrs

from kstats import arch as arches
from kstats import csource
from kstats.arch import print_fmt
from kstats.collector.kvm_stats import reader
from kstats.collector.percpu import PER_CPU
from kstats.collector.target import Target, find_arch, find_source
from kstats.errors import KstatsError, LoadError
from kstats.host import Host
from kstats.loader import bcc_python, libbpf

# include/uapi/linux/capability.h
_CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}


class State(enum.StrEnum):
    """The result of a check; ``warn``: kstats works without it; ``fail``: kstats does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@attrs.frozen
class Check:
    """One finding; ``fix`` is a command or advice, empty if nothing needs fixing."""

    name: str
    state: State
    found: str
    fix: str = ""


@attrs.frozen(eq=False)
class Diagnosis:
    """All findings, and the exit status with which ``kstats cpu`` would end (0: it works)."""

    checks: tuple[Check, ...]
    status: int


def diagnose(
    host: Host | None = None, probe: str | None = None, loader: str | None = None
) -> Diagnosis:
    """Examine ``host``, and try to load and attach the program of ``kstats cpu``."""
    host = host or Host()
    trial, status = _trial(host, probe, loader)
    checks = (
        _kernel(host),
        _machine(host),
        _kvm(host),
        _privileges(host),
        _lockdown(host),
        _btf(host),
        _tracefs(host),
        _names(host),
        _counters(host),
        *_loaders(),
        *_backends(),
        *trial,
    )
    return Diagnosis(checks, status)


def _kernel(host: Host) -> Check:
    return Check("kernel", State.OK, f"Linux {host.kernel()}")


def _machine(host: Host) -> Check:
    try:
        arch = find_arch(host)
    except KstatsError as error:
        return _failed("arch", error)
    return Check("arch", State.OK, f"{arch.name}: {arch.title}")


def _kvm(host: Host) -> Check:
    try:
        source = find_source(find_arch(host), host)
    except KstatsError as error:
        return _failed("kvm", error)
    modules = [module for module in source.modules if host.has_module(module)]
    return Check("kvm", State.OK, " ".join([source.isa, *modules]))


def _privileges(host: Host) -> Check:
    held = _held_capabilities(host)
    if "CAP_SYS_ADMIN" in held or {"CAP_BPF", "CAP_PERFMON"} <= held:
        who = "root" if os.geteuid() == 0 else f"uid {os.geteuid()}"
        return Check("privileges", State.OK, f"{who}, {' '.join(sorted(held))}")
    lacking = " ".join(sorted({"CAP_BPF", "CAP_PERFMON"} - held))
    return Check("privileges", State.FAIL, f"{lacking} missing", "sudo kstats doctor")


def _held_capabilities(host: Host) -> set[str]:
    for line in (host.read("proc/self/status") or "").splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            mask = int(value, 16)
            return {name for name, bit in _CAPABILITIES.items() if mask >> bit & 1}
    return set()


def _lockdown(host: Host) -> Check:
    mode = host.lockdown()
    if mode == "confidentiality":
        return Check(
            "lockdown",
            State.WARN,
            f"{mode}: BPF cannot read kernel memory, and tracefs is not readable",
            "boot with lockdown=integrity if the check program fails",
        )
    return Check("lockdown", State.OK, mode)


def _btf(host: Host) -> Check:
    present = [name for name in _btf_names(host) if host.exists(f"sys/kernel/btf/{name}")]
    if "vmlinux" in present:
        return Check("btf", State.OK, " ".join(present))
    return Check(
        "btf",
        State.WARN,
        "none",
        "a kernel with CONFIG_DEBUG_INFO_BTF=y makes counting cheaper",
    )


def _btf_names(host: Host) -> list[str]:
    try:
        return ["vmlinux", *find_source(find_arch(host), host).modules]
    except KstatsError:
        return ["vmlinux"]


def _tracefs(host: Host) -> Check:
    path = host.tracefs()
    if path:
        return Check("tracefs", State.OK, str(path))
    return Check(
        "tracefs",
        State.WARN,
        "not mounted or not readable: the classic probe cannot be used",
        "mount -t tracefs nodev /sys/kernel/tracing",
    )


def _names(host: Host) -> Check:
    """Check whether this kernel has names for exit codes that our tables lack."""
    text = host.event_format("kvm/kvm_exit")
    if text is None:
        return Check("names", State.WARN, "cannot be compared with this kernel's (no tracefs)")
    try:
        isa = find_arch(host).isa(find_source(find_arch(host), host).isa)
    except KstatsError:
        return Check("names", State.WARN, "not compared: KVM is not loaded")
    strange = print_fmt.strange_names(isa, text) if isa else {}
    if strange:
        listed = " ".join(f"{code:#x}={name}" for code, name in sorted(strange.items()))
        return Check("names", State.WARN, f"names that kstats does not know: {listed}")
    return Check("names", State.OK, "kstats knows all exit names of this kernel")


def _counters(host: Host) -> Check:
    """Check whether ``kstats vcpu --source kernel`` can read KVM's counters."""
    name, without = "counters", "kstats vcpu works without them"
    if reader.offered(host) is None:
        return Check(name, State.WARN, "KVM's counters cannot be read: /dev/kvm cannot be opened")
    try:
        with reader.VcpuStats(host) as stats:
            now = stats.read()
    except KstatsError as error:
        return Check(name, State.WARN, f"{error}; {without}", error.hint)
    found = f"kstats vcpu --source kernel can read KVM's counters of {len(now.vcpus)} vCPUs"
    if not now.silent:
        return Check(name, State.OK, found)
    found += f"; the VMMs of {len(now.silent)} vCPUs did not open theirs"
    return Check(name, State.WARN, found, f"QEMU opens them since version 8.1; {without}")


def _loaders() -> tuple[Check, Check]:
    """Check libbpf and bcc: either is enough."""
    prebuilt, bcc = _libbpf(), _bcc()
    if prebuilt.state is State.OK and bcc.state is not State.OK:
        return prebuilt, Check("bcc", State.OK, "not installed, and not needed")
    if bcc.state is not State.OK:
        return attrs.evolve(prebuilt, state=State.FAIL), bcc
    return prebuilt, bcc


def _libbpf() -> Check:
    if not csource.Objects().is_dir():
        found = "not used: kstats was built without prebuilt objects"
        return Check("libbpf", State.WARN, found, "install a kstats that was built with clang")
    try:
        version = libbpf.open_library().version
    except libbpf.MissingError as error:
        return Check("libbpf", State.WARN, str(error), "apt install libbpf1")
    return Check("libbpf", State.OK, version)


def _bcc() -> Check:
    if bcc_python.has_bcc():
        return Check("bcc", State.OK, f"for {sys.executable}")
    if bcc_python.distribution_has_bcc():
        return Check("bcc", State.OK, f"for {bcc_python.DISTRIBUTION_PYTHON}")
    return Check("bcc", State.FAIL, "not installed", "apt install python3-bpfcc")


def _backends() -> Iterator[Check]:
    """List the backends of other packages, and those that were left out."""
    for arch in arches.arches()[len(arches.BUILT_IN) :]:
        yield Check("backend", State.OK, f"{arch.name}: {arch.title}, from another package")
    for error in arches.broken():
        yield Check("backend", State.WARN, str(error), error.hint)


def _trial(host: Host, probe: str | None, loader: str | None) -> tuple[list[Check], int]:
    """Load and attach the program of ``kstats cpu``, then unload it."""
    try:
        with Target.find(host, probe=probe, loader=loader).load(PER_CPU) as loaded:
            found = f"loaded by {loaded.loader} and attached through {loaded.probe}"
            checks = [Check("program", State.OK, found)]
            checks += [Check("loader", State.WARN, f"{n}: {why}") for n, why in loaded.unavailable]
            checks += [Check("probe", State.WARN, f"{n}: {why}") for n, why in loaded.rejected]
            return checks, 0
    except KstatsError as error:
        return [_failed("program", error)], error.status


def _failed(name: str, error: KstatsError) -> Check:
    complaint = error.complaint if isinstance(error, LoadError) else ""
    found = f"{error}: {complaint}" if complaint else str(error)
    return Check(name, State.FAIL, found, error.hint)
