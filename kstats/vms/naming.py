"""What VMMs are, what each calls its VM, and how it names its vCPU threads."""

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

# Folders and sockets that many VMs have: they name none.
_COMMON = re.compile(
    r"(?:api|ch|clh|cloud-hypervisor|control|crosvm|fc|firecracker|root|run|socket|tmp|vm|[-_.])*"
)


def vcpu_number(comm: str) -> int | None:
    """The vCPU that a thread of this name runs; None if the name does not say."""
    match = _VCPU_THREADS.fullmatch(comm)
    return int(match[match.lastindex or 0]) if match else None


def option(words: Sequence[str], *names: str) -> str:
    """The last value given for an option, as ``--name value`` or ``--name=value``."""
    value = ""
    for word, following in pairwise([*words, ""]):
        name, equals, rest = word.partition("=")
        if name in names:
            value = rest if equals else following
    return value


def qemu_name(words: Sequence[str]) -> str:
    """The value of ``-name [guest=]NAME[,process=…]``, where ``,,`` is a comma (qemu(1))."""
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
    """A VM by the socket that it is controlled with: ``/run/vms/web.sock`` is web.

    A name that every VM's has (Kata's ``clh-api.sock``) gives way to the folder's.
    """
    if value.startswith("fd="):
        return ""
    path = PurePosixPath(value.removeprefix("path=").partition(",")[0])
    parts = (path.name.removesuffix(".sock").removesuffix(".socket"), path.parent.name)
    return next((part for part in parts if not _COMMON.fullmatch(part)), "")


def _firecracker_name(words: Sequence[str]) -> str:
    return option(words, "--id") or _by_socket(option(words, "--api-sock"))


def _cloud_hypervisor_name(words: Sequence[str]) -> str:
    # It has no option for a name: ch-remote tells VMs apart by their sockets.
    return _by_socket(option(words, "--api-socket"))


def _crosvm_name(words: Sequence[str]) -> str:
    return option(words, "--name") or _by_socket(option(words, "--socket", "-s"))


def _kvmtool_name(words: Sequence[str]) -> str:
    return option(words, "--name")


@attrs.frozen
class Vmm:
    """A virtual machine monitor: how its program is called, where its command line names the VM."""

    kind: Kind
    program: re.Pattern[str]
    name: Callable[[Sequence[str]], str]


# Packages call them kvm, qemu-kvm, .qemu-system-x86_64-wrapped, cloud-hypervisor-static, and
# the jailer keeps whatever its copy of firecracker was called.
_VMMS = (
    Vmm(Kind.QEMU, re.compile(r"kvm|\.?qemu-(kvm|system-.*)"), qemu_name),
    Vmm(Kind.FIRECRACKER, re.compile(r".*firecracker.*"), _firecracker_name),
    Vmm(Kind.CLOUD_HYPERVISOR, re.compile(r"\.?cloud-hyperviso.*"), _cloud_hypervisor_name),
    Vmm(Kind.CROSVM, re.compile(r"\.?crosvm.*"), _crosvm_name),
    Vmm(Kind.KVMTOOL, re.compile(r"lkvm(-static)?|kvmtool"), _kvmtool_name),
)


def find_vmm(proc: Proc, pid: int) -> Vmm | None:
    """Which VMM a process runs: by its program, its first argument, or its name."""
    first = proc.cmdline(pid)[:1]
    called = [proc.program(pid), *(word.rpartition("/")[2] for word in first), proc.comm(pid, pid)]
    found = (vmm for name in called for vmm in _VMMS if vmm.program.fullmatch(name))
    return next(found, None)


def identify(proc: Proc, pid: int) -> tuple[Kind, str]:
    """Kind and name of the VM that a process runs.

    The command line's name is the one that the VM was given; libvirt's cgroup says that it is
    libvirt's, and gives the name if the command line has none (:mod:`kstats.vms.libvirt`).
    What nothing names is called by its command.
    """
    vmm = find_vmm(proc, pid)
    machine = machine_name(proc.cgroups(pid))
    kind = Kind.LIBVIRT if machine is not None else vmm.kind if vmm else Kind.OTHER
    given = vmm.name(proc.cmdline(pid)) if vmm else ""
    return kind, given or machine or _default(proc, pid, kind) or proc.comm(pid, pid)


def _default(proc: Proc, pid: int, kind: Kind) -> str:
    # kvmtool's own default, which `lkvm list` shows: its pid as it sees it itself.
    return f"guest-{proc.own_pid(pid) or pid}" if kind is Kind.KVMTOOL else ""
