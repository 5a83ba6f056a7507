"""Which processes hold VMs, and which of their descriptors are whose: read from /proc and debugfs.

KVM gives a VM, each of its vCPUs and each vCPU's statistics a descriptor whose link in /proc
names it. Looking through all descriptors of all processes takes long, so it is done rarely:
KVM's directory in debugfs says which processes have VMs, and whether they got new vCPUs.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from pathlib import Path

import attrs

from kstats.host import Host

WALK_SECONDS = 10.0
"""How often all processes are looked through where debugfs does not tell."""

_DEBUGFS = "sys/kernel/debug/kvm"
_VM_DIRECTORY = re.compile(r"(\d+)-\d+")  # the thread that made the VM, and the descriptor it got
_LINK = re.compile(r"anon_inode:kvm-(?:(vm)|vcpu:(\d+)|vcpu-stats:(\d+))")
_EMPTY = 2  # links to a directory that has no directories in it
_START_TIME = 19  # among the fields after the name; the 22nd of all, see proc(5)


@attrs.frozen
class Descriptors:
    """KVM's descriptors of one process.

    Attributes:
        vms: Descriptors of its VMs.
        vcpus: {descriptor: vCPU}; a vCPU may have several, and VMs may use the same numbers.
        stats: {descriptor of statistics: vCPU}.
    """

    vms: tuple[int, ...] = ()
    vcpus: Mapping[int, int] = attrs.field(factory=dict)
    stats: Mapping[int, int] = attrs.field(factory=dict)

    @property
    def without_stats(self) -> frozenset[int]:
        """The vCPUs that have no descriptor of statistics."""
        return frozenset(self.vcpus.values()) - frozenset(self.stats.values())


def descriptors(host: Host, pid: int) -> Descriptors:
    """KVM's descriptors of a process; raises OSError if it is gone or may not be looked into."""
    vms, vcpus, stats = [], {}, {}
    for fd, link in _links(host, pid):
        if match := _LINK.fullmatch(link):
            if match[1]:
                vms.append(fd)
            elif match[2]:
                vcpus[fd] = int(match[2])
            else:
                stats[fd] = int(match[3])
    return Descriptors(tuple(vms), vcpus, stats)


def start_time(host: Host, pid: int) -> int | None:
    """When a process began, in clock ticks after the boot; None if it is gone."""
    fields = (host.read(f"proc/{pid}/stat") or "").rpartition(")")[2].split()
    return int(fields[_START_TIME]) if len(fields) > _START_TIME else None


def _links(host: Host, pid: int) -> Iterator[tuple[int, str]]:
    for name in _names(host.root / f"proc/{pid}/fd"):
        try:
            # A Path would take longer than the call, and there are many.
            yield int(name), os.readlink(f"{host.root}/proc/{pid}/fd/{name}")  # noqa: PTH115
        except OSError:  # closed in the meantime
            continue


def _names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


class Finder:
    """Finds the processes that hold VMs, cheaply enough to be asked at every sample.

    ``refused`` is how many processes could not be looked into when all were.
    """

    def __init__(self, host: Host, clock: Callable[[], float] = time.monotonic) -> None:
        """Looks at nothing yet."""
        self._host = host
        self._clock = clock
        self._processes: dict[str, int | None] = {}
        self._walked: dict[int, Hashable] = {}
        self._next_walk = -WALK_SECONDS
        self.refused = 0

    def find(self) -> dict[int, Hashable]:
        """The processes that hold VMs, each with a token that changes with its VMs and vCPUs."""
        folder = self._host.root / _DEBUGFS
        try:
            names = [name for name in _names(folder) if _VM_DIRECTORY.fullmatch(name)]
        except OSError:
            return self._walk()
        self._processes = {name: self._process(name) for name in names}
        found: dict[int, tuple[Hashable, ...]] = {}
        for name, pid in sorted(self._processes.items()):
            if pid is not None:
                found[pid] = (*found.get(pid, ()), name, self._vcpus(folder / name))
        # A thread that made a VM and ended names no process; only a walk finds that one.
        return dict(found) if None not in self._processes.values() else self._walk() | found

    def _process(self, name: str) -> int | None:
        """The process of the thread that a VM's directory is named after, if it still runs."""
        known = self._processes.get(name)
        if known is not None:
            return known
        status = self._host.read(f"proc/{name.partition('-')[0]}/status") or ""
        found = re.search(r"^Tgid:\s*(\d+)$", status, re.MULTILINE)
        return int(found[1]) if found else None

    def _vcpus(self, folder: Path) -> Hashable:
        """Changes with the vCPUs of the VM that this directory is of."""
        try:
            links = folder.stat().st_nlink
        except OSError:
            links = 0
        # Each vCPU has a directory in it, and that is a link more; but not on every kernel.
        return links if links > _EMPTY else (links, self._clock() // WALK_SECONDS)

    def _walk(self) -> dict[int, Hashable]:
        now = self._clock()
        if now >= self._next_walk:
            self._next_walk = now + WALK_SECONDS
            self.refused = 0
            self._walked = {pid: now for pid in self._all_processes() if self._holds_kvm(pid)}
        return dict(self._walked)

    def _all_processes(self) -> Iterator[int]:
        try:
            names = _names(self._host.root / "proc")
        except OSError:
            return
        yield from (int(name) for name in names if name.isdecimal())

    def _holds_kvm(self, pid: int) -> bool:
        try:
            return any(_LINK.fullmatch(link) for _, link in _links(self._host, pid))
        except PermissionError:
            self.refused += 1
        except OSError:  # gone
            pass
        return False
