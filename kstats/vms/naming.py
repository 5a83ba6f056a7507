"""Identifies VMMs: the name that each gives its VM, and those of its vCPU threads."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import PurePosixPath

import attrs

from kstats.vms.identity import Kind
from kstats.vms.libvirt import machine_name
from kstats.vms.proc import Proc

_VCPU_THREADS = re.compile(
    r"""
      CPU\ (\d+)/KVM     # QEMU, with debug-threads=on
    | fc_vcpu\ (\d+)     # Firecracker
    | vcpu(\d+)          # Cloud Hypervisor
    | crosvm_vcpu(\d+)   # crosvm
    | kvm-vcpu-(\d+)     # kvmtool
    """,
    re.VERBOSE | re.ASCII,
)

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# Folders and sockets of this name do not identify a VM.
_COMMON = re.compile(
    r"(?:api|ch|clh|cloud-hypervisor|control|crosvm|fc|firecracker|root|run|socket|tmp|vm|[-_.])*"
)


def vcpu_number(comm: str) -> int | None:
    """Return the vCPU number in a thread's name; None if it has none."""
    match = _VCPU_THREADS.fullmatch(comm)
    return int(match[match.lastindex or 0]) if match else None


def option(words: Sequence[str], *names: str) -> str:
    """Return the last value of an option, as ``--name value`` or ``--name=value``; else empty."""
    value = ""
    for word, following in pairwise([*words, ""]):
        name, equals, rest = word.partition("=")
        if name in names:
            value = rest if equals else following
    return value


def uuid(proc: Proc, pid: int) -> str:
    """Return the UUID on the command line of a process; empty without one.

    Of QEMU's options, libvirt uses ``-uuid`` and Proxmox ``-smbios type=1,uuid=…`` (qemu(1)).
    """
    words = proc.cmdline(pid)
    items = option(words, "-smbios", "--smbios").split(",")
    smbios = [item.removeprefix("uuid=") for item in items if item.startswith("uuid=")]
    found = (option(words, "-uuid", "--uuid"), *smbios)
    return next((text.lower() for text in found if _UUID.fullmatch(text.lower())), "")


def qemu_name(words: Sequence[str]) -> str:
    """Return NAME of ``-name [guest=]NAME[,process=…]``, where ``,,`` is a comma (qemu(1))."""
    name = ""
    for word, following in pairwise(words):
        if word in ("-name", "--name"):
            name = _guest(following) or name
    return name


def _guest(value: str) -> str:
    # QEMU takes the first item for the name if it has no "="; the last "guest=" wins.
    items = [item.replace("\0", ",") for item in value.replace(",,", "\0").split(",")]
    first = [] if "=" in items[0].partition(",")[0] else items[:1]
    return (first + [item[6:] for item in items if item.startswith("guest=")] or [""])[-1]


def _by_socket(value: str) -> str:
    """Return a VM's name by its control socket: ``/run/vms/web.sock`` is web.

    If all VMs have sockets of that name (Kata's ``clh-api.sock``), the folder's name is used.
    """
    if value.startswith("fd="):
        return ""
    path = PurePosixPath(value.removeprefix("path=").partition(",")[0])
    parts = (path.name.removesuffix(".sock").removesuffix(".socket"), path.parent.name)
    return next((part for part in parts if not _COMMON.fullmatch(part)), "")


def _firecracker_name(words: Sequence[str]) -> str:
    return option(words, "--id") or _by_socket(option(words, "--api-sock"))


def _cloud_hypervisor_name(words: Sequence[str]) -> str:
    # It has no option for a name; ch-remote takes the socket, too.
    return _by_socket(option(words, "--api-socket"))


def _crosvm_name(words: Sequence[str]) -> str:
    return option(words, "--name") or _by_socket(option(words, "--socket", "-s"))


def _kvmtool_name(words: Sequence[str]) -> str:
    return option(words, "--name")


@attrs.frozen
class Vmm:
    """A VMM: the names of its program, and how to get the VM's name from its command line."""

    kind: Kind
    program: re.Pattern[str]
    name: Callable[[Sequence[str]], str]


# Packages name them kvm, qemu-kvm, .qemu-system-x86_64-wrapped or cloud-hypervisor-static; the
# jailer keeps the name that its copy of firecracker has.
_VMMS = (
    Vmm(Kind.QEMU, re.compile(r"kvm|\.?qemu-(kvm|system-.*)"), qemu_name),
    Vmm(Kind.FIRECRACKER, re.compile(r".*firecracker.*"), _firecracker_name),
    Vmm(Kind.CLOUD_HYPERVISOR, re.compile(r"\.?cloud-hyperviso.*"), _cloud_hypervisor_name),
    Vmm(Kind.CROSVM, re.compile(r"\.?crosvm.*"), _crosvm_name),
    Vmm(Kind.KVMTOOL, re.compile(r"lkvm(-static)?|kvmtool"), _kvmtool_name),
)


def find_vmm(proc: Proc, pid: int) -> Vmm | None:
    """Return the VMM that a process runs, by its program, its first argument or its name."""
    first = proc.cmdline(pid)[:1]
    called = [proc.program(pid), *(word.rpartition("/")[2] for word in first), proc.comm(pid, pid)]
    found = (vmm for name in called for vmm in _VMMS if vmm.program.fullmatch(name))
    return next(found, None)


def identify(proc: Proc, pid: int) -> tuple[Kind, str]:
    """Return the kind and the name of the VM that a process runs.

    The name is that on the command line, else that of libvirt's cgroup
    (:mod:`kstats.vms.libvirt`), else the VMM's default, else the command's.
    """
    vmm = find_vmm(proc, pid)
    machine = machine_name(proc.cgroups(pid))
    kind = Kind.LIBVIRT if machine is not None else vmm.kind if vmm else Kind.OTHER
    given = vmm.name(proc.cmdline(pid)) if vmm else ""
    return kind, given or machine or _default(proc, pid, kind) or proc.comm(pid, pid)


def _default(proc: Proc, pid: int, kind: Kind) -> str:
    # kvmtool's own default, as `lkvm list` prints it: with the pid in its own namespace.
    return f"guest-{proc.own_pid(pid) or pid}" if kind is Kind.KVMTOOL else ""
