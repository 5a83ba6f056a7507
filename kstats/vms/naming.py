"""Identifies VMMs: the name that each gives its VM, and those of its vCPU threads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import PurePosixPath

import attrs

from kstats.vms import kubernetes
from kstats.vms.identity import Arrival, Kind
from kstats.vms.libvirt import find_domain
from kstats.vms.patterns import first_match
from kstats.vms.proc import Proc

_VCPU_THREADS = r"""
      CPU\ ([0-9]+)/KVM     # QEMU, with debug-threads=on; StratoVirt
    | fc_vcpu\ ([0-9]+)     # Firecracker
    | vcpu([0-9]+)          # Cloud Hypervisor
    | crosvm_vcpu([0-9]+)   # crosvm
    | kvm-vcpu-([0-9]+)     # kvmtool
    | db_vcpu([0-9]+)       # Dragonball
    | vcpu-([0-9]+)         # Kontain
"""

_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

_PROXMOX = r"/qemu\.slice/([0-9]{1,9})\.scope"

# The folder of a sandbox of Kata Containers, whatever its VMM.
_KATA = "/run/(?:vc/(?:firecracker|sbs|vm)|kata)/([^/,]+)"

# A file whose name consists of these words does not identify a VM ...
_COMMON_FILE = frozenset(
    """
    api ch clh cloud config control crosvm ctl fc fcconfig firecracker hypervisor monitor qmp run
    sock socket vm vmconfig vmm
    """.split()  # noqa: SIM905 - a list would fill a page
)
# ... nor does such a folder, nor one of those that paths begin with.
_COMMON_FOLDER = _COMMON_FILE | frozenset(
    """
    chroot containers data instance instances internal jail jailer jails kata lib root runtime
    sandbox sandboxes sbs sockets state tmp vc vmms vms
    """.split()  # noqa: SIM905
)
_BEGINNING = (
    "/(?:(?:var/)?run/user/[0-9]+|proc/[0-9a-z]+|home/[^/]+|dev/shm|usr/local"
    "|var/(?:cache|lib|run|tmp)|etc|opt|run|srv|tmp)(?=/)"
)


def vcpu_number(comm: str) -> int | None:
    """Return the vCPU number in a thread's name; None if it has none."""
    match = re.fullmatch(_VCPU_THREADS, comm, re.VERBOSE)
    return int(match[match.lastindex or 0]) if match else None


def options(words: Sequence[str], *names: str) -> Iterator[str]:
    """Yield the values of an option, given as ``--name value`` or ``--name=value``."""
    for word, following in pairwise([*words, ""]):
        name, equals, rest = word.partition("=")
        if name in names:
            yield rest if equals else following


def option(words: Sequence[str], *names: str) -> str:
    """Return the last value of an option; empty without one."""
    return ["", *options(words, *names)][-1]


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


def by_path(value: str) -> str:
    """Return a VM's name by the path of a file of its own: ``/run/vms/web.sock`` is web.

    If the files of all VMs have that name (``api.sock``), it is the nearest folder that may have
    the name of a VM. Empty if none may.
    """
    if value.startswith("fd="):
        return ""
    text = value.removeprefix("path=").partition(",")[0]
    beginning = re.match(_BEGINNING, text)
    path = PurePosixPath(text[beginning.end() :] if beginning else text)
    file = re.sub(r"[._-](json|sock|socket)$", "", path.name)
    if not _is_common(file, _COMMON_FILE):
        return file
    folders = (folder.name for folder in path.parents)
    return next((name for name in folders if not _is_common(name, _COMMON_FOLDER)), "")


def _is_common(name: str, common: frozenset[str]) -> bool:
    hidden = name.startswith(".")
    return hidden or common.issuperset(filter(None, re.split("[-_.]", name.lower())))


def _avd(words: Sequence[str]) -> str:
    """Return the virtual device of the Android emulator, ``-avd NAME`` or ``@NAME``."""
    short = (word[1:] for word in words[1:] if re.fullmatch(r"@[\w.-]+", word))
    return option(words, "-avd") or next(short, "")


def _firecracker_name(words: Sequence[str]) -> str:
    paths = (option(words, "--api-sock"), option(words, "--config-file"))
    return option(words, "--id") or next(filter(None, map(by_path, paths)), "")


def _cloud_hypervisor_name(words: Sequence[str]) -> str:
    # It has no option for a name; ch-remote takes the socket, too.
    return by_path(option(words, "--api-socket"))


def _crosvm_name(words: Sequence[str]) -> str:
    return option(words, "--name") or by_path(option(words, "--socket", "-s"))


def _kvmtool_name(words: Sequence[str]) -> str:
    return option(words, "--name")


def _kata_shim_name(words: Sequence[str]) -> str:
    return option(words, "-id", "--id")


def _gvisor_name(words: Sequence[str]) -> str:
    # "runsc … boot … CONTAINER"; the bundle is a folder of that name.
    last = words[-1] if "boot" in words[:-1] else "-"
    return PurePosixPath(option(words, "--bundle")).name if last.startswith("-") else last


def _virtualbox_name(words: Sequence[str]) -> str:
    return option(words, "--comment", "-comment") or _virtualbox_machine(words)


def _virtualbox_machine(words: Sequence[str]) -> str:
    """Return the name or the UUID of a machine."""
    return option(words, "--startvm", "-startvm", "-s")


def _kontain_name(words: Sequence[str]) -> str:
    """Return the program in the VM: what ``km`` is called as, else ``*.km``, else its argument."""
    called, *others = [PurePosixPath(word).name.removesuffix(".km") for word in words] or [""]
    programs = [name for name, word in zip(others, words[1:], strict=True) if word.endswith(".km")]
    first = [name for name in others[:1] if not name.startswith("-")]
    return called if called != "km" else "".join((programs or first)[:1])


@attrs.frozen
class Vmm:
    """A VMM: the names of its program, and how to get the VM's name from its command line.

    ``when`` is what the command line must have beside the program.
    """

    kind: Kind
    program: str
    name: Callable[[Sequence[str]], str]
    when: Callable[[Sequence[str]], object] = lambda _: True


_QEMU = r"kvm(-spice)?|\.?qemu-(kvm|system-.*)"

# Packages name them kvm, qemu-kvm, .qemu-system-x86_64-wrapped or cloud-hypervisor-static; the
# jailer keeps the name that its copy of firecracker has.
VMMS = (
    Vmm(Kind.ANDROID_EMULATOR, _QEMU, _avd, when=_avd),
    Vmm(Kind.QEMU, _QEMU, qemu_name),
    Vmm(Kind.FIRECRACKER, r".*firecracker.*", _firecracker_name),
    Vmm(Kind.CLOUD_HYPERVISOR, r"\.?cloud-hyperviso.*", _cloud_hypervisor_name),
    Vmm(Kind.CROSVM, r"\.?crosvm.*", _crosvm_name),
    Vmm(Kind.KVMTOOL, r"lkvm(-static)?|kvmtool", _kvmtool_name),
    Vmm(Kind.STRATOVIRT, r"stratovirt.*", qemu_name),
    Vmm(Kind.DRAGONBALL, r"containerd-shim-kata(-.*)?-v2", _kata_shim_name),
    Vmm(Kind.GVISOR, r"runsc(-sandbox)?", _gvisor_name),
    Vmm(Kind.VIRTUALBOX, r"VBoxHeadless|VirtualBox(VM)?", _virtualbox_name),
    Vmm(Kind.KONTAIN, r"km", _kontain_name),
)


def find_vmm(proc: Proc, pid: int) -> Vmm | None:
    """Return the VMM that a process runs, by its program, its first argument or its name."""
    words = proc.cmdline(pid)
    first = (word.rpartition("/")[2] for word in words[:1])
    return _vmm_called((proc.program(pid), *first, proc.comm(pid, pid)), words)


def _vmm_called(names: Iterable[str], words: Sequence[str]) -> Vmm | None:
    found = (vmm for name in names for vmm in VMMS if re.fullmatch(vmm.program, name))
    return next((vmm for vmm in found if vmm.when(words)), None)


@attrs.frozen
class Identity:
    """What the command line and the cgroups of a process say about its VMs; see :class:`Vm`."""

    kind: Kind
    name: str
    uuid: str
    vmid: int | None
    pod: str
    namespace: str


def identify(proc: Proc, pid: int) -> Identity:
    """Identify the VM that a process runs.

    The name is that on the command line, else that of libvirt's cgroup
    (:mod:`kstats.vms.libvirt`), else Proxmox VE's number or the VMM's default, else the command's.
    """
    vmm = find_vmm(proc, pid)
    words, cgroups = proc.cmdline(pid), proc.cgroups(pid)
    default = _default(proc, pid, vmm.kind) if vmm else ""
    return _identity(vmm, words, cgroups, default, proc.comm(pid, pid))


def identify_ended(arrival: Arrival) -> Identity:
    """Identify a VM that ended before its process could be read, by what the kernel reported.

    The name is that of its cgroup, else that of the command. A thread has the latter, too, unless
    it has set one of its own.
    """
    vmm = _vmm_called([arrival.process], [])
    inherited = "" if vcpu_number(arrival.name) is not None else arrival.name
    return _identity(vmm, [], [arrival.cgroup], "", arrival.process or inherited)


def _identity(
    vmm: Vmm | None, words: Sequence[str], cgroups: Sequence[str], default: str, command: str
) -> Identity:
    domain = find_domain(words, cgroups)
    kind = Kind.LIBVIRT if domain else vmm.kind if vmm else Kind.OTHER
    given = (vmm.name(words) or first_match(_KATA, words)) if vmm else ""
    proxmox = _proxmox_number(words, cgroups) if kind is Kind.QEMU else ""
    name = given or (domain.name if domain else proxmox) or default
    return Identity(
        kind=kind,
        name=name or command,
        uuid=_uuid(words, name, cgroups),
        vmid=domain.vmid if domain else int(proxmox) if proxmox else None,
        pod=kubernetes.pod(cgroups),
        namespace=kubernetes.namespace(kind, name, words, cgroups),
    )


def _default(proc: Proc, pid: int, kind: Kind) -> str:
    # kvmtool's own default, as `lkvm list` prints it: with the pid in its own namespace.
    return f"guest-{proc.own_pid(pid) or pid}" if kind is Kind.KVMTOOL else ""


def _proxmox_number(words: Sequence[str], cgroups: Iterable[str]) -> str:
    """Return the number on the command line (``-id 102``), else that in the cgroup; else empty."""
    given = option(words, "-id")
    if re.fullmatch("[0-9]{1,9}", given):
        return given
    return first_match(_PROXMOX, cgroups)


def _uuid(words: Sequence[str], name: str, cgroups: Iterable[str]) -> str:
    """Return the UUID of a VM on its command line or as the name of its cgroup; else empty.

    libvirt uses QEMU's ``-uuid``, Proxmox VE ``-smbios type=1,uuid=…`` (qemu(1)), and Cloud
    Hypervisor has ``--platform uuid=…``. Others take a UUID for a name.
    """
    lists = options(words, "-smbios", "--smbios", "--platform")
    items = [item for text in lists for item in text.split(",")]
    found = (
        option(words, "-uuid", "--uuid"),
        *(item.removeprefix("uuid=") for item in items if item.startswith("uuid=")),
        _virtualbox_machine(words),
        name,
        *(PurePosixPath(path).name.removesuffix(".scope") for path in cgroups),
    )
    return next((text.lower() for text in found if re.fullmatch(_UUID, text.lower())), "")
