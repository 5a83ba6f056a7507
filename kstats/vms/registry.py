"""The VMs of a host, kept up to date from sample to sample."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping

import attrs

from kstats.errors import UnsupportedHostError
from kstats.host import Host
from kstats.vms.debugfs import Folder
from kstats.vms.finder import Finder
from kstats.vms.identity import Arrival, Kind, Thread, Vm
from kstats.vms.naming import identify_ended, vcpu_number
from kstats.vms.proc import Proc
from kstats.vms.process import Process

_KEPT_REFRESHES = 2
"""How long threads are known after their end: their last counts may be read that late."""


class ForeignPidsError(UnsupportedHostError):
    """/proc shows a PID namespace other than the initial one, by which BPF counts."""

    hint = (
        "run it in the host's PID namespace: docker run --pid=host,"
        " or on the host; kstats cpu works here, too"
    )

    def __init__(self) -> None:
        super().__init__("threads and VMs cannot be identified in a separate PID namespace")


class VmRegistry:
    """The VMs of ``host`` and the threads of their vCPUs, as of the last :meth:`refresh`.

    Read the counters, then refresh, then look up the threads that have counts: a thread that
    counted existed before the refresh. A refresh costs two stats for each VM and reads files of
    new ones only; looking up a known thread reads nothing.

    Threads that end before the refresh are known if :meth:`meet` was called for them. It may be
    called from another thread.

    Processes are identified by pid and start time. The kernel's counts are by thread number: if a
    number is used again within a sample, all its counts go to the new thread.

    Raises:
        ForeignPidsError: /proc shows another PID namespace than the initial one.
    """

    def __init__(self, host: Host) -> None:
        self._proc = Proc(host.root)
        if self._proc.has_host_pids() is False:
            raise ForeignPidsError
        self._finder = Finder(host)
        self._processes: dict[int, Process] = {}
        self._before = deque[dict[int, Mapping[int, Thread]]](maxlen=_KEPT_REFRESHES)
        self._met: dict[int, dict[int, Thread]] = {}
        self._lock = threading.RLock()
        self.refresh()

    def can_see_processes(self) -> bool:
        """Return whether /proc shows the processes of all users."""
        return self._proc.start(1) is not None

    def refresh(self) -> None:
        """Look for VMs and vCPUs that came or went."""
        with self._lock:
            self._refresh()

    def _refresh(self) -> None:
        then = {pid: process.threads for pid, process in self._processes.items()}
        met, self._met = self._met, {}
        self._before.appendleft(then | {pid: {**then.get(pid, {}), **met[pid]} for pid in met})
        found = self._finder.find()
        for pid, process in list(self._processes.items()):
            closed = process.certain and pid not in found
            if closed or not process.refresh(found.get(pid, [])):
                del self._processes[pid]
        for pid in found.keys() - self._processes.keys():
            self._track(pid, found[pid], certain=True)

    def thread(self, pid: int, tid: int) -> Thread:
        """Return thread ``tid`` of process ``pid`` as it is now, else as it last was.

        A thread that was never seen has no vCPU number, and its VM has no name.
        """
        with self._lock:
            process = self._processes.get(pid)
            known = process.threads.get(tid) if process else None
            known = known or self._recall_ending(pid, tid) or self._discover(pid, tid)
            return known or self._recall(pid, tid) or _unknown_thread(pid, tid)

    def meet(self, arrivals: Iterable[Arrival]) -> None:
        """Look up threads that have just run a vCPU for the first time, while they exist.

        A thread that has ended already keeps what the kernel reported of it.
        """
        with self._lock:
            for arrival in arrivals:
                self._met.setdefault(arrival.pid, {})[arrival.tid] = self._arrived(arrival)

    def has_ended(self, pid: int, tid: int) -> bool:
        """Return whether a thread, after it was looked up, is not among those of vCPUs now."""
        with self._lock:
            process = self._processes.get(pid)
            return process is None or tid not in process.threads

    def departed(self) -> set[int]:
        """Return the numbers (pid_tgid) of threads that ended between the last two refreshes."""
        found = set()
        with self._lock:
            for pid, then in self._before[0].items():
                process = self._processes.get(pid)
                now = process.threads if process else {}
                if now is not then:
                    found |= {pid << 32 | tid for tid in then.keys() - now.keys()}
        return found

    def vms(self) -> dict[Vm, list[Thread]]:
        """Return the VMs by pid, and the threads of their vCPUs by number.

        Idle ones are included, except vCPUs that have never run. A thread that neither the kernel
        nor its name identifies as a vCPU's is missing until it is looked up.
        """
        listed: dict[Vm, list[Thread]] = {}
        with self._lock:
            for _, process in sorted(self._processes.items()):
                listed |= process.vms()
        return listed

    def _track(self, pid: int, folders: list[Folder], *, certain: bool) -> Process | None:
        process = Process(self._proc, pid, certain=certain)
        if not process.refresh(folders):
            return None
        self._processes[pid] = process
        return process

    def _arrived(self, arrival: Arrival) -> Thread:
        process = self._processes.get(arrival.pid)
        if not (process and process.is_of(arrival.start)) and self._exists(arrival):
            if process:  # it has ended, and its pid was used again
                met = self._met.get(arrival.pid, {})
                self._met[arrival.pid] = {**process.threads, **met}
            folders = self._finder.folders(arrival.pid)
            process = self._track(arrival.pid, folders, certain=bool(folders))
        if process and process.is_of(arrival.start):
            return process.discover(arrival.tid, arrival.vcpu)
        vm = Vm(arrival.pid, arrival.start, **attrs.asdict(identify_ended(arrival)))
        number = vcpu_number(arrival.name) if arrival.vcpu is None else arrival.vcpu
        return Thread(arrival.tid, arrival.pid, number, vm)

    def _exists(self, arrival: Arrival) -> bool:
        if arrival.start is None:
            return self._proc.has_thread(arrival.pid, arrival.tid)
        return self._proc.start(arrival.pid) == arrival.start

    def _recall_ending(self, pid: int, tid: int) -> Thread | None:
        """Return a thread of a process that closed its VM: one that is ending has lost its name."""
        then = None if pid in self._processes else self._recall(pid, tid)
        return then if then and then.vm.start == self._proc.start(pid) else None

    def _discover(self, pid: int, tid: int) -> Thread | None:
        """Return a thread that ran a vCPU unnoticed: the kernel lists none, or it is new."""
        if not self._proc.has_thread(pid, tid):
            return None
        process = self._processes.get(pid) or self._track(pid, [], certain=False)
        return process.discover(tid) if process else None

    def _recall(self, pid: int, tid: int) -> Thread | None:
        then = (known[pid].get(tid) for known in self._before if pid in known)
        return next((thread for thread in then if thread), None)


def _unknown_thread(pid: int, tid: int) -> Thread:
    return Thread(tid, pid, None, Vm(pid, None, Kind.OTHER, ""))
