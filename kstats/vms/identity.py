"""The values: a VM, and a thread that runs one of its vCPUs."""

from __future__ import annotations

import enum
from typing import NamedTuple

import attrs


class Kind(enum.StrEnum):
    """What runs a VM. ``LIBVIRT`` manages another of these; its name for the VM is shown."""

    LIBVIRT = "libvirt"
    QEMU = "qemu"
    FIRECRACKER = "firecracker"
    CLOUD_HYPERVISOR = "cloud-hypervisor"
    CROSVM = "crosvm"
    KVMTOOL = "kvmtool"
    OTHER = "other"


@attrs.frozen
class Vm:
    """A VM: ``name`` is what its manager calls it, else the command name of its process.

    ``pid`` and ``start`` (clock ticks after boot; None if the process was gone before it could
    be asked) identify the process for ever. ``fd`` tells VMs of one process apart: the number
    of the descriptor that KVM_CREATE_VM returned; None where the kernel does not tell.

    ``name`` is another process's text: print it with :func:`kstats.escape.printable`. It is
    empty if nothing is known.
    """

    pid: int
    start: int | None
    kind: Kind
    name: str
    fd: int | None = None


@attrs.frozen
class Thread:
    """A thread of process ``pid`` that runs a vCPU of ``vm``; ``vcpu`` is None if unknown.

    The number is KVM's (``vcpu_id``), which its tracepoints print, too. On x86 that is the APIC
    ID: it skips some where a guest's cores are not a power of two, and QEMU's own does not.
    Where the kernel does not tell, it is the VMM's own (:mod:`kstats.vms`).
    """

    tid: int
    pid: int
    vcpu: int | None
    vm: Vm


class Vcpu(NamedTuple):
    """One vCPU for as long as it lives.

    ``start_time`` of the process (clock ticks after the boot) tells it from an earlier process
    of that number; ``fd``, the VMM's descriptor, tells the VMs of one process apart. A process
    that ends a VM and makes another may get the same again: counters that shrank began anew.
    """

    pid: int
    vcpu: int
    start_time: int
    fd: int
