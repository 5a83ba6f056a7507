"""What KVM tells of its VMs in debugfs.

``/sys/kernel/debug/kvm/<tid>-<fd>`` is a VM: made by thread ``tid`` (of a VMM like Cloud
Hypervisor not its first, so the number is no pid), whose process had it open as ``fd``. On x86
it holds ``vcpuN/pid`` since Linux 6.0 ("KVM: debugfs: expose pid of vcpu threads"): the thread
that ran vCPU N last, 0 before the first. It keeps its number when that thread has ended. All
numbers are those of the initial pid namespace (``task_pid_nr``), whoever reads.

A VM has no folder if one of the same name was still there when it was made: its descriptor was
closed, its vCPUs' are open, and the number was used again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import attrs

from kstats.vms.proc import Proc, Stamp, names, read, stamp

_FOLDER = re.compile(r"([0-9]+)-([0-9]+)")
_VCPU = re.compile(r"vcpu([0-9]+)")


@attrs.define(eq=False)
class Folder:
    """A VM's folder: the thread of each vCPU as it was read last, 0 for none; its process."""

    path: str
    maker: int
    fd: int
    stamp: Stamp
    vcpus: dict[int, int] = attrs.field(init=False)
    pid: int | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        """Finds the vCPUs; their threads are read by who needs them."""
        self.vcpus = dict.fromkeys(_vcpus(self.path), 0)

    def read_vacant(self, live: Mapping[str, int]) -> bool:
        """Reads who runs the vCPUs that none of ``live`` is known to; whether some stay so."""
        vacant = [vcpu for vcpu, tid in self.vcpus.items() if str(tid) not in live]
        for vcpu in vacant:
            raw = (read(f"{self.path}/vcpu{vcpu}/pid", 32) or b"").strip()
            self.vcpus[vcpu] = int(raw) if raw.isdigit() else 0
        return any(str(self.vcpus[vcpu]) not in live for vcpu in vacant)

    def find_process(self, proc: Proc) -> None:
        """Finds out whose VM this is, if that is not known: whoever runs it, else who made it."""
        if self.pid is None:
            self.read_vacant({})
            owners = (proc.owner(tid) for tid in (*self.vcpus.values(), self.maker) if tid)
            self.pid = next((pid for pid in owners if pid is not None), None)


class KvmDebugfs:
    """The VMs of a host by its debugfs."""

    def __init__(self, root: Path, proc: Proc) -> None:
        self._path = f"{root}/sys/kernel/debug/kvm".replace("//", "/")
        self._proc = proc
        self._folders: dict[str, Folder] = {}

    def refresh(self) -> dict[int, list[Folder]] | None:
        """The folders of each process's VMs now; None without debugfs.

        Costs one stat a VM. A folder whose VM got new vCPUs is a new object.
        """
        stamps = _stamps(self._path)
        if stamps is None:
            return None
        self._folders = {name: self._folder(name, stamp) for name, stamp in stamps.items()}
        processes: dict[int, list[Folder]] = {}
        for folder in self._folders.values():
            folder.find_process(self._proc)
            if folder.pid is not None:
                processes.setdefault(folder.pid, []).append(folder)
        return processes

    def _folder(self, name: str, stamp: Stamp) -> Folder:
        known = self._folders.get(name)
        if known and known.stamp == stamp:
            return known
        maker, _, fd = name.partition("-")
        return Folder(f"{self._path}/{name}", int(maker), int(fd), stamp)


def _stamps(path: str) -> dict[str, Stamp] | None:
    if stamp(path) is None:
        return None
    found = {name: stamp(f"{path}/{name}") for name in names(path) if _FOLDER.fullmatch(name)}
    return {name: seen for name, seen in found.items() if seen}


def _vcpus(path: str) -> list[int]:
    matches = map(_VCPU.fullmatch, names(path))
    return sorted(int(match[1]) for match in matches if match)
