"""The directory of a host's VMs, kept from sample to sample."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TypeAlias

from kstats.errors import UnsupportedHostError
from kstats.host import Host
from kstats.vms.debugfs import Folder, KvmDebugfs
from kstats.vms.identity import Kind, Thread, Vm
from kstats.vms.proc import Proc
from kstats.vms.process import Process
from kstats.vms.search import Search

_Known: TypeAlias = dict[int, Mapping[int, Thread]]

_REMEMBERED = 2
"""For how many refreshes the dead are known: their last counts may be read after the first."""


class ForeignPidsError(UnsupportedHostError):
    """The /proc here numbers processes otherwise than the kernel, which counts by its numbers."""

    hint = (
        "run it in the host's PID namespace: docker run --pid=host,"
        " or on the host; kstats -v works here, too"
    )

    def __init__(self) -> None:
        super().__init__("threads and VMs cannot be told apart in a PID namespace of one's own")


class VmRegistry:
    """Who is who among the VMs of ``host``. Looks once when it is made, then when told to.

    Take a snapshot of the counters, :meth:`refresh`, then ask for the threads that have
    counts: so whoever is counted has been there to be looked at. A refresh costs two stats for
    a VM, and reads files only of what is new; asking for a known thread reads nothing.

    Processes are told apart by pid and start time. What cannot be told: counts are kept by
    number in the kernel, so if one is used again within a sample, they go by its new owner.

    Raises:
        ForeignPidsError: /proc shows another PID namespace than the initial one.
    """

    def __init__(self, host: Host) -> None:
        self._proc = Proc(host.root)
        if self._proc.has_host_pids() is False:
            raise ForeignPidsError
        self._debugfs = KvmDebugfs(host.root, self._proc)
        self._search = Search(self._proc)
        self._processes: dict[int, Process] = {}
        self._before: deque[_Known] = deque(maxlen=_REMEMBERED)
        self.refresh()

    def refresh(self) -> None:
        """Looks for VMs and vCPUs that came or went."""
        self._before.appendleft({pid: known.threads for pid, known in self._processes.items()})
        folders = self._debugfs.refresh()
        for pid, process in list(self._processes.items()):
            if not self._still_runs(process, folders):
                del self._processes[pid]
        found = self._search.refresh() if folders is None else folders.keys()
        for pid in found - self._processes.keys():
            self._adopt(pid, (folders or {}).get(pid, []), certain=True)

    def thread(self, pid: int, tid: int) -> Thread:
        """Who thread ``tid`` of process ``pid`` is: now, else of late. Never fails.

        A thread that was never seen alive has no vCPU number, and its VM no name.
        """
        process = self._processes.get(pid)
        known = process.threads.get(tid) if process else None
        known = known or self._closed(pid, tid) or self._meet(pid, tid)
        return known or self._remember(pid, tid) or _stranger(pid, tid)

    def has_ended(self, pid: int, tid: int) -> bool:
        """Whether a thread that was asked for is not among those that run vCPUs now."""
        process = self._processes.get(pid)
        return process is None or tid not in process.threads

    def vms(self) -> dict[Vm, list[Thread]]:
        """The VMs that there are, by pid, and the threads of their vCPUs, by number.

        Idle ones too; but not a vCPU that has never run, and, where neither the kernel nor its
        name tells that a thread runs one, not before it was asked for.
        """
        listed: dict[Vm, list[Thread]] = {}
        for _, process in sorted(self._processes.items()):
            listed |= process.vms()
        return listed

    def _still_runs(self, process: Process, folders: Mapping[int, list[Folder]] | None) -> bool:
        here = (folders or {}).get(process.pid, [])
        closed = folders is not None and process.certain and not here
        return not closed and process.refresh(here)

    def _adopt(self, pid: int, folders: list[Folder], *, certain: bool) -> Process | None:
        process = Process(self._proc, pid, certain=certain)
        if not process.refresh(folders):
            return None
        self._processes[pid] = process
        return process

    def _closed(self, pid: int, tid: int) -> Thread | None:
        """A thread of a process that closed its VM: one that is ending has lost its name first."""
        then = None if pid in self._processes else self._remember(pid, tid)
        return then if then and then.vm.start == self._proc.start(pid) else None

    def _meet(self, pid: int, tid: int) -> Thread | None:
        """A thread that counts but was not seen to: the kernel lists no vCPUs, or it is new."""
        if not self._proc.has_thread(pid, tid):
            return None
        process = self._processes.get(pid) or self._adopt(pid, [], certain=False)
        return process.meet(tid) if process else None

    def _remember(self, pid: int, tid: int) -> Thread | None:
        then = (known[pid].get(tid) for known in self._before if pid in known)
        return next((thread for thread in then if thread), None)


def _stranger(pid: int, tid: int) -> Thread:
    return Thread(tid, pid, None, Vm(pid, None, Kind.OTHER, ""))
