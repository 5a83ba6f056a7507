"""Finds the processes that hold VMs: through debugfs, else among all processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from kstats.host import Host
from kstats.vms.debugfs import Folder, KvmDebugfs
from kstats.vms.kvm_fds import descriptors
from kstats.vms.naming import find_vmm, vcpu_number
from kstats.vms.proc import Proc

SEARCH_SECONDS = 10.0
"""How often all processes are searched again where debugfs does not list every VM."""


class Finder:
    """Finds the processes that hold VMs, cheaply enough for every sample."""

    def __init__(self, host: Host, clock: Callable[[], float] = time.monotonic) -> None:
        proc = Proc(host.root)
        self._debugfs = KvmDebugfs(host.root, proc)
        self._search = _Search(proc, clock)
        self.refused = 0
        """Processes that this user may not look into; 0 if there was no need to."""

    def find(self) -> dict[int, list[Folder]]:
        """Return the debugfs folders of each process's VMs, by pid.

        A folder is the same object until its VM gets another vCPU. Processes that the search
        found have none.
        """
        folders = self._debugfs.refresh()
        found: dict[int, list[Folder]] = {}
        for folder in folders or ():
            if folder.pid is not None:
                found.setdefault(folder.pid, []).append(folder)
        self.refused = 0
        # The thread that a folder is named after may have ended before it was looked up.
        if folders is None or any(folder.pid is None for folder in folders):
            found = {pid: [] for pid in self._search.refresh()} | found
            self.refused = len(self._search.refused)
        return found

    def folders(self, pid: int) -> list[Folder]:
        """Return the debugfs folders of a process, as :meth:`find` will."""
        return self._debugfs.of_process(pid)


class _Search:
    """Looks into each process once it was listed twice, and into all every SEARCH_SECONDS.

    A new process may still be what started it, and most end before the next sample. A process
    holds a VM if it has a descriptor of one, or if it is a known VMM with a vCPU thread: its
    descriptors may be closed to us. A VMM without a VM is looked into every time, because
    Firecracker and Cloud Hypervisor wait for requests first.
    """

    def __init__(self, proc: Proc, clock: Callable[[], float]) -> None:
        self._proc = proc
        self._clock = clock
        self._next = 0.0
        # Inodes by pid, as /proc lists them: a process is known by both.
        self._listed: Mapping[str, int] = {}
        self._searched: Mapping[str, int] = {}
        self._holders: Mapping[str, int] = {}
        self._waiting: set[str] = set()
        self.refused: set[str] = set()

    def refresh(self) -> list[int]:
        """Return the processes that hold VMs."""
        now = self._proc.processes()
        settled = dict(now.items() & (self._listed or now).items())
        if self._clock() >= self._next:
            self._next = self._clock() + SEARCH_SECONDS
            self._searched = {}
        changed = (settled.items() - self._searched.items()) | (self._holders.items() - now.items())
        pids = ({pid for pid, _ in changed} | self._waiting) & now.keys()
        self._listed, self._searched = now, settled
        self._waiting &= now.keys()
        self.refused &= now.keys()
        kept = {pid for pid, _ in self._holders.items() & now.items()} - pids
        self._holders = {pid: now[pid] for pid in kept | set(filter(self._holds_vm, pids))}
        return [int(pid) for pid in self._holders]

    def _holds_vm(self, pid: str) -> bool:
        self._waiting.discard(pid)
        self.refused.discard(pid)
        try:
            found = descriptors(self._proc, int(pid))
        except PermissionError:
            self.refused.add(pid)
            # It may be one that we could look into before the privileges for that were dropped.
            if self._holders.get(pid) == self._listed[pid]:
                return True
        except FileNotFoundError:
            return False
        else:
            if found.vms or found.vcpus:
                return True
        return self._is_vmm(int(pid))

    def _is_vmm(self, pid: int) -> bool:
        if find_vmm(self._proc, pid) is None:
            return False
        comms = (self._proc.comm(pid, int(tid)) for tid in self._proc.threads(pid))
        if any(vcpu_number(comm) is not None for comm in comms):
            return True
        self._waiting.add(str(pid))
        return False
