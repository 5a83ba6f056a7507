"""A process that holds VMs: which of its threads runs which vCPU of which VM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import attrs

from kstats.vms.debugfs import Folder
from kstats.vms.identity import Thread, Vm
from kstats.vms.naming import identify, vcpu_number
from kstats.vms.proc import Proc, Stamp

_VcpuByThread: TypeAlias = dict[int, tuple[int | None, int | None]]
"""The descriptor of the VM and the number of the vCPU that a thread runs, by thread ID."""


class Process:
    """The vCPU threads of one process, kept up to date by :meth:`refresh`.

    ``threads`` are by thread ID. The mapping is replaced and never changed, so that a reference
    to an older one keeps what was known then. ``certain`` is set if the process holds a VM even
    if none of its threads is known to run a vCPU.
    """

    def __init__(self, proc: Proc, pid: int, *, certain: bool) -> None:
        self.pid = pid
        self.certain = certain
        self.threads: Mapping[int, Thread] = {}
        self._proc = proc
        self._start = proc.start(pid)
        self._identity = identify(proc, pid)
        self._vms: dict[int | None, Vm] = {}
        self._folders: list[Folder] = []
        self._stamp: Stamp | None = None
        self._tasks: Mapping[str, int] = {}
        self._named: dict[int, int] = {}
        self._young: set[int] = set()
        self._reported: dict[int, int] = {}
        self._discovered: set[int] = set()
        self._vacant = False

    def refresh(self, folders: list[Folder]) -> bool:
        """Update the threads from /proc and the ``folders`` of the VMs; False if it has ended.

        If nothing changed this costs one stat. It misses a thread that starts when another ends,
        until the number of threads changes or :meth:`discover` is called for it.
        """
        stamp = self._proc.stamp(self.pid)
        if stamp is None:
            return False
        settled = not self._young and not self._vacant
        if settled and stamp == self._stamp and folders == self._folders:
            return True
        tasks = self._proc.threads(self.pid)
        if not tasks or self._is_another(tasks):
            return False
        self._stamp = stamp
        self._update(tasks, folders)
        return True

    def is_of(self, start: int | None) -> bool:
        """Return whether it is the process with its pid that started at that time, if known."""
        return start is None or start == self._start

    def discover(self, tid: int, vcpu: int | None = None) -> Thread:
        """Return a thread that ran a vCPU; add it to ``threads`` if it is not among them.

        ``vcpu`` is the number that the kernel reported with the thread's first exit, if any.
        """
        known = self.threads.get(tid)
        if vcpu is not None:
            self._reported[tid] = vcpu
        if known and (known.vcpu is not None or vcpu is None):
            return known
        self._discovered.add(tid)
        self._stamp = None  # look again: debugfs may know its vCPU
        if tid not in self._reported:
            vcpu = vcpu_number(self._proc.comm(self.pid, tid))
        vcpu = self._reported.get(tid, vcpu)
        thread = Thread(tid, self.pid, vcpu, known.vm if known else self._only_vm())
        self.threads = {**self.threads, tid: thread}
        return thread

    def vms(self) -> dict[Vm, list[Thread]]:
        """Return the VMs by descriptor, and the threads of each by vCPU number, unknown last."""
        fds = sorted(folder.fd for folder in self._folders)
        found: dict[Vm, list[Thread]] = {self._vm(fd): [] for fd in fds}
        if self.certain and not found:
            found[self._vm(None)] = []
        for thread in sorted(self.threads.values(), key=_order):
            found.setdefault(thread.vm, []).append(thread)
        return found

    def _update(self, tasks: Mapping[str, int], folders: list[Folder]) -> None:
        vacant = [folder.read_vacant(tasks) for folder in folders]
        self._vacant = any(vacant)
        self._folders = folders
        self.certain |= bool(folders)
        vcpus = _vcpus_by_thread(folders)
        self._read_names(tasks, vcpus)
        self._assign(vcpus)

    def _is_another(self, tasks: Mapping[str, int]) -> bool:
        """Return whether the process has ended and another one has its pid."""
        leader = str(self.pid)
        if not self._tasks or tasks.get(leader) == self._tasks.get(leader):
            return False
        return self._proc.start(self.pid) != self._start

    def _read_names(self, tasks: Mapping[str, int], vcpus: _VcpuByThread) -> None:
        """Read the names of threads that are new, or were at the last refresh.

        Once is not enough: a thread starts with its creator's name and then sets its own.
        Threads in ``vcpus`` need none.
        """
        changed = {int(name) for name, _ in tasks.items() - self._tasks.items()}
        self._tasks = tasks
        live = set(map(int, tasks))
        self._discovered &= live - changed
        self._reported = {tid: self._reported[tid] for tid in self._reported.keys() & live}
        self._named = {tid: self._named[tid] for tid in self._named.keys() & live - changed}
        for tid in (changed | self._young & live) - vcpus.keys():
            vcpu = vcpu_number(self._proc.comm(self.pid, tid))
            if vcpu is not None:
                self._named[tid] = vcpu
        self._young = changed - self._named.keys() - vcpus.keys()

    def _assign(self, vcpus: _VcpuByThread) -> None:
        """Set ``threads``: by what the kernel reports, else by the threads' names."""
        threads = {}
        for tid in map(int, self._tasks):
            if tid in vcpus:
                fd, vcpu = vcpus[tid]
                threads[tid] = Thread(tid, self.pid, vcpu, self._vm(fd))
            elif tid in self._named or tid in self._discovered:
                vcpu = self._reported.get(tid, self._named.get(tid))
                threads[tid] = Thread(tid, self.pid, vcpu, self._only_vm())
        self.threads = threads

    def _only_vm(self) -> Vm:
        return self._vm(self._folders[0].fd if len(self._folders) == 1 else None)

    def _vm(self, fd: int | None) -> Vm:
        if fd not in self._vms:
            known = attrs.asdict(self._identity)
            self._vms[fd] = Vm(self.pid, self._start, fd=fd, **known)
        return self._vms[fd]


def _vcpus_by_thread(folders: Sequence[Folder]) -> _VcpuByThread:
    # A thread that ran several vCPUs has no number: its exits cannot be told apart.
    found: _VcpuByThread = {}
    for folder in folders:
        for vcpu, tid in folder.vcpus.items():
            found[tid] = (None, None) if tid in found else (folder.fd, vcpu)
    return found


def _order(thread: Thread) -> tuple[bool, int, int]:
    return thread.vcpu is None, thread.vcpu or 0, thread.tid
