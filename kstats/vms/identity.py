"""VMs, the threads that run their vCPUs, and vCPUs.

A process is identified by its pid and its start time (clock ticks after boot): the kernel uses
pids again, but never both together.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

import attrs


class Kind(enum.StrEnum):
    """The VMM of a VM; ``LIBVIRT`` if libvirt manages it, whatever the VMM is."""

    LIBVIRT = "libvirt"
    QEMU = "qemu"
    FIRECRACKER = "firecracker"
    CLOUD_HYPERVISOR = "cloud-hypervisor"
    CROSVM = "crosvm"
    KVMTOOL = "kvmtool"
    STRATOVIRT = "stratovirt"
    ANDROID_EMULATOR = "android-emulator"
    DRAGONBALL = "dragonball"
    GVISOR = "gvisor"
    VIRTUALBOX = "virtualbox"
    KONTAIN = "kontain"
    OTHER = "other"


@attrs.frozen
class Vm:
    """A VM.

    Attributes:
        pid: Its process.
        start: Start time of the process; None if the process had ended before it was read.
        kind: Its VMM.
        name: The name that its manager uses, else the process's command name; empty if unknown.
            It is another process's text: print it with :func:`kstats.escape.printable`.
        fd: The descriptor that KVM_CREATE_VM returned, which tells apart the VMs of a process;
            None where the kernel does not report it.
        uuid: Its UUID, which libvirt and many users of QEMU give it; empty if unknown.
        vmid: Its number in libvirt (``virsh list``) or Proxmox VE (``qm list``); None without one.
        pod: The UID of its Kubernetes pod; empty outside of Kubernetes.
        namespace: The Kubernetes namespace of a VM of KubeVirt, or containerd's namespace of a
            sandbox of Kata Containers or gVisor; empty if unknown.
    """

    pid: int
    start: int | None
    kind: Kind
    name: str
    fd: int | None = None
    uuid: str = ""
    vmid: int | None = None
    pod: str = ""
    namespace: str = ""


@attrs.frozen
class Thread:
    """A thread of process ``pid`` that runs a vCPU of ``vm``; ``vcpu`` is None if unknown.

    The number is KVM's (``vcpu_id``), which its tracepoints also print. On x86 that is the APIC
    ID, which skips numbers where a guest's cores are not a power of two; QEMU's own numbers do
    not. Where the kernel does not report it, it is the VMM's number (:mod:`kstats.vms`).
    """

    tid: int
    pid: int
    vcpu: int | None
    vm: Vm


class Arrival(NamedTuple):
    """A thread that has just run a vCPU for the first time, as the kernel reports it.

    Attributes:
        pid: Its process.
        tid: Its number.
        start: Start time of the process; None if it is unknown.
        vcpu: KVM's number of the vCPU; None if it is unknown.
        name: The name of the thread.
        process: The name of the process; empty if it is unknown.
        cgroup: The path of the process's cgroup (version 2), of which the beginning may be missing;
            empty if it is unknown.
    """

    pid: int
    tid: int
    start: int | None
    vcpu: int | None
    name: str
    process: str
    cgroup: str = ""


class Vcpu(NamedTuple):
    """One vCPU for as long as it exists.

    ``pid`` and ``start`` are the process as in :class:`Vm`. ``fd`` is the descriptor of the
    vCPU's statistics (of the vCPU, if there are none), which tells apart the VMs of a process. A
    process that closes a VM and creates another may get the same one again: counters that shrank
    started again.
    """

    pid: int
    vcpu: int
    start: int
    fd: int
