"""KVM's VMs in debugfs.

``/sys/kernel/debug/kvm/<tid>-<fd>`` is a VM that thread ``tid`` created, which need not be the
first thread of its process (it is not in Cloud Hypervisor); ``fd`` is the descriptor it got. On
x86 the folder holds ``vcpuN/pid`` since Linux 6.0 ("KVM: debugfs: expose pid of vcpu threads"):
the thread that ran vCPU N last, 0 before the first. The file keeps the number of a thread that
has ended. All numbers are those of the initial PID namespace (``task_pid_nr``), in every reader's.

A VM has no folder if one of the same name still existed when it was created: the descriptor of
the older VM was closed and its number used again, while those of its vCPUs were open.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping

import attrs

from kstats.vms.proc import Proc, Stamp, names, read, stamp

_FOLDER = re.compile(r"([0-9]+)-([0-9]+)")
_VCPU = re.compile(r"vcpu([0-9]+)")


@attrs.define(eq=False)
class Folder:
    """The folder of one VM.

    Attributes:
        path: Where it is.
        maker: The thread that created the VM.
        fd: The VM's descriptor in its process.
        stamp: Changes when the VM gets a vCPU.
        vcpus: The thread of each vCPU as last read; 0 for none.
        pid: The VM's process; None until it is known.
    """

    path: str
    maker: int
    fd: int
    stamp: Stamp
    vcpus: dict[int, int] = attrs.field(init=False)
    pid: int | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        """List the vCPUs; :meth:`read_vacant` reads their threads."""
        self.vcpus = dict.fromkeys(_vcpus(self.path), 0)

    def read_vacant(self, live: Mapping[str, int]) -> bool:
        """Read the threads of vCPUs without one in ``live``; return whether any has none still."""
        vacant = [vcpu for vcpu, tid in self.vcpus.items() if str(tid) not in live]
        for vcpu in vacant:
            raw = (read(f"{self.path}/vcpu{vcpu}/pid", 32) or b"").strip()
            self.vcpus[vcpu] = int(raw) if raw.isdigit() else 0
        return any(str(self.vcpus[vcpu]) not in live for vcpu in vacant)

    def find_process(self, proc: Proc) -> None:
        """Set ``pid`` if it is not known: the process of a vCPU's thread, else of the maker."""
        if self.pid is None:
            self.read_vacant({})
            owners = (proc.owner(tid) for tid in (*self.vcpus.values(), self.maker) if tid)
            self.pid = next((pid for pid in owners if pid is not None), None)


class KvmDebugfs:
    """The folders of a host's VMs."""

    def __init__(self, root: str | os.PathLike[str], proc: Proc) -> None:
        self._path = f"{root}/sys/kernel/debug/kvm".replace("//", "/")
        self._proc = proc
        self._folders: dict[str, Folder] = {}

    def refresh(self) -> Collection[Folder] | None:
        """Return the folders that exist now; None without debugfs.

        Costs one stat for each VM. A folder that changed is a new object.
        """
        stamps = _stamps(self._path)
        if stamps is None:
            return None
        self._folders = {name: self._folder(name, stamp) for name, stamp in stamps.items()}
        for folder in self._folders.values():
            folder.find_process(self._proc)
        return self._folders.values()

    def of_process(self, pid: int) -> list[Folder]:
        """Return the folders of a process; costs a look at each folder that is new."""
        for name in names(self._path):
            if name not in self._folders and _FOLDER.fullmatch(name):
                seen = stamp(f"{self._path}/{name}")
                if seen:
                    self._folders[name] = self._folder(name, seen)
                    self._folders[name].find_process(self._proc)
        return [folder for folder in self._folders.values() if folder.pid == pid]

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
