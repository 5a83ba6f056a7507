"""KVM's file descriptors of a process.

KVM returns a descriptor for a VM, for each vCPU and for each vCPU's statistics. Its link in
/proc/PID/fd names it (anon_inode_getfd in virt/kvm/kvm_main.c).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from kstats.vms.proc import Proc

_TARGET = re.compile(r"anon_inode:kvm-(?:(vm)|vcpu:(\d+)|vcpu-stats:(\d+))", re.ASCII)


@attrs.frozen
class Descriptors:
    """KVM's descriptors of one process.

    Attributes:
        vms: Descriptors of VMs.
        vcpus: vCPU numbers by descriptor. A vCPU may have several descriptors, and vCPUs of
            several VMs may have the same number.
        stats: vCPU numbers by descriptor of the vCPU's statistics.
    """

    vms: tuple[int, ...] = ()
    vcpus: Mapping[int, int] = attrs.field(factory=dict)
    stats: Mapping[int, int] = attrs.field(factory=dict)

    @property
    def without_stats(self) -> frozenset[int]:
        """The vCPUs without a descriptor of statistics."""
        return frozenset(self.vcpus.values()) - frozenset(self.stats.values())


def descriptors(proc: Proc, pid: int) -> Descriptors:
    """Return KVM's descriptors of a process.

    Raises:
        OSError: the process has ended, or this user may not look into it.
    """
    vms, vcpus, stats = [], {}, {}
    for fd, target in proc.descriptors(pid):
        if match := _TARGET.fullmatch(target):
            if match[1]:
                vms.append(fd)
            elif match[2]:
                vcpus[fd] = int(match[2])
            else:
                stats[fd] = int(match[3])
    return Descriptors(tuple(vms), vcpus, stats)
