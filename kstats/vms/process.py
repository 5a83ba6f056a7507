"""A process that runs VMs: which thread runs which vCPU of which of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from kstats.vms.debugfs import Folder
from kstats.vms.identity import Thread, Vm
from kstats.vms.naming import identify, vcpu_number
from kstats.vms.proc import Proc, Stamp

_Seats: TypeAlias = dict[int, tuple[int | None, int | None]]
"""By thread, the descriptor of the VM and the number of the vCPU that it runs."""


class Process:
    """Knows the vCPU threads of one process; :meth:`refresh` reads what can have changed.

    ``threads`` has them by number. It is replaced and never changed, so whoever keeps one
    keeps what was known then. ``certain`` says that this is a VM's process even if no thread
    of it is known to run a vCPU.
    """

    def __init__(self, proc: Proc, pid: int, *, certain: bool) -> None:
        self.pid = pid
        self.certain = certain
        self.threads: Mapping[int, Thread] = {}
        self._proc = proc
        self._start = proc.start(pid)
        self._kind, self._name = identify(proc, pid)
        self._vms: dict[int | None, Vm] = {}
        self._folders: list[Folder] = []
        self._stamp: Stamp | None = None
        self._tasks: Mapping[str, int] = {}
        self._named: dict[int, int] = {}
        self._young: set[int] = set()
        self._met: set[int] = set()
        self._vacant = False

    def refresh(self, folders: list[Folder]) -> bool:
        """Looks at the threads, and at the ``folders`` of the VMs; False if the process is gone.

        If nothing has changed, that is one stat. It does not notice a thread that comes when
        another goes, until there are more or fewer of them, or that one counts.
        """
        stamp = self._proc.stamp(self.pid)
        settled = not self._young and not self._vacant
        if settled and stamp == self._stamp and folders == self._folders:
            return True
        tasks = self._proc.threads(self.pid)
        if not tasks or self._is_another(tasks):
            return False
        self._stamp = stamp
        self._look(tasks, folders)
        return True

    def meet(self, tid: int) -> Thread:
        """Adds a thread that ran a vCPU and is not among ``threads``."""
        if tid in self.threads:
            return self.threads[tid]
        self._met.add(tid)
        self._stamp = None  # look again: the kernel may know its number
        vcpu = vcpu_number(self._proc.comm(self.pid, tid))
        thread = Thread(tid, self.pid, vcpu, self._only_vm())
        self.threads = {**self.threads, tid: thread}
        return thread

    def vms(self) -> dict[Vm, list[Thread]]:
        """The VMs and their vCPU threads, by number."""
        fds = sorted(folder.fd for folder in self._folders)
        found: dict[Vm, list[Thread]] = {self._vm(fd): [] for fd in fds}
        if self.certain and not found:
            found[self._vm(None)] = []
        for thread in sorted(self.threads.values(), key=_order):
            found.setdefault(thread.vm, []).append(thread)
        return found

    def _look(self, tasks: Mapping[str, int], folders: list[Folder]) -> None:
        vacant = [folder.read_vacant(tasks) for folder in folders]
        self._vacant = any(vacant)
        self._folders = folders
        self.certain |= bool(folders)
        seats = _seats(folders)
        self._read_names(tasks, seats)
        self._place(seats)

    def _is_another(self, tasks: Mapping[str, int]) -> bool:
        """Whether the process that was known has ended and its number was used again."""
        leader = str(self.pid)
        if not self._tasks or tasks.get(leader) == self._tasks.get(leader):
            return False
        return self._proc.start(self.pid) != self._start

    def _read_names(self, tasks: Mapping[str, int], seats: _Seats) -> None:
        """Reads the names of threads without a seat that are new, or were the last time.

        Once is too soon: a thread begins with its maker's name, and gives itself its own.
        """
        changed = {int(name) for name, _ in tasks.items() - self._tasks.items()}
        self._tasks = tasks
        live = set(map(int, tasks))
        self._met &= live - changed
        self._named = {tid: self._named[tid] for tid in self._named.keys() & live - changed}
        for tid in (changed | self._young & live) - seats.keys():
            vcpu = vcpu_number(self._proc.comm(self.pid, tid))
            if vcpu is not None:
                self._named[tid] = vcpu
        self._young = changed - self._named.keys() - seats.keys()

    def _place(self, seats: _Seats) -> None:
        """Says which thread runs which vCPU: the kernel's word, else the thread's name."""
        threads = {}
        for tid in map(int, self._tasks):
            if tid in seats:
                fd, vcpu = seats[tid]
                threads[tid] = Thread(tid, self.pid, vcpu, self._vm(fd))
            elif tid in self._named or tid in self._met:
                threads[tid] = Thread(tid, self.pid, self._named.get(tid), self._only_vm())
        self.threads = threads

    def _only_vm(self) -> Vm:
        return self._vm(self._folders[0].fd if len(self._folders) == 1 else None)

    def _vm(self, fd: int | None) -> Vm:
        if fd not in self._vms:
            self._vms[fd] = Vm(self.pid, self._start, self._kind, self._name, fd)
        return self._vms[fd]


def _seats(folders: Sequence[Folder]) -> _Seats:
    """VM and vCPU of each thread; neither of one that ran several: its exits are of them all."""
    seats: _Seats = {}
    for folder in folders:
        for vcpu, tid in folder.vcpus.items():
            seats[tid] = (None, None) if tid in seats else (folder.fd, vcpu)
    return seats


def _order(thread: Thread) -> tuple[bool, int, int]:
    return thread.vcpu is None, thread.vcpu or 0, thread.tid
