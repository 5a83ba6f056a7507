"""What a host has, what it lacks for ``kstats -v``, and the command that mends it."""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Iterator

import attrs

from kstats import arch as arches
from kstats.arch import print_fmt
from kstats.collector.kvm_stats import reader
from kstats.collector.percpu import PER_CPU
from kstats.collector.target import Target, find_arch, find_source
from kstats.errors import KstatsError, LoadError
from kstats.host import Host
from kstats.loader import program

# include/uapi/linux/capability.h
_CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}


class State(enum.StrEnum):
    """``ok``; ``warn``: kstats works without it; ``fail``: kstats does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@attrs.frozen
class Check:
    """One finding; ``fix`` is a command or an advice, empty where there is nothing to mend."""

    name: str
    state: State
    found: str
    fix: str = ""


@attrs.frozen(eq=False)
class Diagnosis:
    """All findings, and the exit status that ``kstats -v`` would end with (0: it works)."""

    checks: tuple[Check, ...]
    status: int


def diagnose(host: Host | None = None, probe: str | None = None) -> Diagnosis:
    """Examines ``host``, and tries to load, attach and detach what ``kstats -v`` would."""
    host = host or Host()
    trial, status = _trial(host, probe)
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
        _bcc(),
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
            f"{mode}: BPF may not read kernel memory, tracefs may not be read",
            "boot with lockdown=integrity if the program below does not load",
        )
    return Check("lockdown", State.OK, mode)


def _btf(host: Host) -> Check:
    present = [name for name in _btf_names(host) if host.exists(f"sys/kernel/btf/{name}")]
    if "vmlinux" in present:
        return Check("btf", State.OK, " ".join(present))
    return Check(
        "btf", State.WARN, "none", "a kernel with CONFIG_DEBUG_INFO_BTF=y makes counting cheaper"
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
        "not mounted, or not readable: the classic probe cannot be used",
        "mount -t tracefs nodev /sys/kernel/tracing",
    )


def _names(host: Host) -> Check:
    """Whether this kernel names codes that our tables do not have."""
    text = host.event_format("kvm/kvm_exit")
    if text is None:
        return Check("names", State.WARN, "cannot be compared with this kernel's (no tracefs)")
    try:
        isa = find_arch(host).isa(find_source(find_arch(host), host).isa)
    except KstatsError:
        return Check("names", State.WARN, "not compared: KVM is not there")
    strange = print_fmt.strange_names(isa, text) if isa else {}
    if strange:
        listed = " ".join(f"{code:#x}={name}" for code, name in sorted(strange.items()))
        return Check("names", State.WARN, f"this kernel has names of its own: {listed}")
    return Check("names", State.OK, "every exit that this kernel names is known")


def _counters(host: Host) -> Check:
    """Whether ``kstats vcpu --source kernel`` has something to read."""
    name, without = "counters", "kstats vcpu does without them"
    if reader.offered(host) is None:
        return Check(name, State.WARN, "KVM cannot be asked for its own: no /dev/kvm to open")
    try:
        with reader.VcpuStats(host) as stats:
            now = stats.read()
    except KstatsError as error:
        return Check(name, State.WARN, f"{error}; {without}", error.hint)
    found = f"kstats vcpu --source kernel reads KVM's own of {len(now.vcpus)} vCPUs"
    if not now.silent:
        return Check(name, State.OK, found)
    found += f"; the VMMs of {len(now.silent)} opened none"
    return Check(name, State.WARN, found, f"QEMU opens them since 8.1; {without}")


def _bcc() -> Check:
    if program.has_bcc():
        return Check("bcc", State.OK, f"for {sys.executable}")
    if program.distribution_has_bcc():
        found = f"not for this Python: programs are loaded with {program.DISTRIBUTION_PYTHON}"
        return Check("bcc", State.OK, found)
    return Check("bcc", State.FAIL, "not installed", "apt install python3-bpfcc")


def _backends() -> Iterator[Check]:
    for error in arches.broken():
        yield Check("backend", State.WARN, str(error), error.hint)


def _trial(host: Host, probe: str | None) -> tuple[list[Check], int]:
    """Does what ``kstats -v`` would do first, and undoes it."""
    try:
        with Target.find(host, probe=probe).load(PER_CPU) as loaded:
            checks = [Check("program", State.OK, f"loaded and attached through {loaded.probe}")]
            checks += [Check("probe", State.WARN, f"{n}: {why}") for n, why in loaded.rejected]
            return checks, 0
    except KstatsError as error:
        return [_failed("program", error)], error.status


def _failed(name: str, error: KstatsError) -> Check:
    complaint = error.complaint if isinstance(error, LoadError) else ""
    found = f"{error}: {complaint}" if complaint else str(error)
    return Check(name, State.FAIL, found, error.hint)
