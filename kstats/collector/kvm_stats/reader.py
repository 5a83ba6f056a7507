"""KVM's own counters of each vCPU, which KVM keeps whether or not anyone reads them.

Since Linux 5.14 a VMM can request a descriptor of a vCPU's statistics (KVM_GET_STATS_FD); QEMU
does so for every vCPU since 8.1. KVM accepts the request from the VMM only (an ioctl from another
process fails with EIO: ``vcpu->kvm->mm != current->mm``), but any process that has the descriptor
may read it. The reader copies the VMM's with pidfd_getfd(2). Counters of a VMM that opened none
cannot be read.

Reading costs the guest nothing but the cache lines of its counters: no exit takes longer, and no
thread of the VMM is stopped.

Nothing of a VM is held between two readings. A descriptor of statistics keeps its VM alive: the
page tables, ASID and pinned memory of a VM would outlive its VMM for as long as kstats sleeps or
is stopped (^Z). Where it does not (before "KVM: Grab a reference to KVM for VM and vCPU stats
file descriptors" of 6.5 and its stable series), reading it after the VM's end would read freed
memory. So copies are made, read and closed at once, while copies of the VM's own descriptors keep
it alive.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Protocol, Self

import attrs

from kstats.collector.kvm_stats import pidfd
from kstats.collector.kvm_stats.layout import MAX_BYTES, FormatError, Layout, parse
from kstats.errors import PrivilegeError, UnsupportedHostError
from kstats.host import Host
from kstats.vms.debugfs import Folder
from kstats.vms.finder import SEARCH_SECONDS, Finder
from kstats.vms.identity import Vcpu
from kstats.vms.kvm_fds import Descriptors, descriptors
from kstats.vms.proc import Proc

_CHECK_EXTENSION, _BINARY_STATS_FD = 0xAE03, 203  # include/uapi/linux/kvm.h
_PIDS_SHOWN = 5
_ROOT = "run as root (CAP_SYS_PTRACE)"
_SILENT = "KVM's counters cannot be read: the VMM opened no statistics (QEMU does since 8.1)"


@attrs.frozen(eq=False)
class Snapshot:
    """Counters since each vCPU was created.

    Attributes:
        time: Seconds since the epoch (UTC), after the last counter was read.
        monotonic: The same moment on the monotonic clock, seconds.
        vcpus: The counters of each vCPU, by the kernel's names and in its units
            (``halt_wait_ns`` in nanoseconds); values are below 2**64.
        silent: The vCPUs without statistics; ``fd`` is the descriptor of the vCPU.
        notes: What could not be read, a line each.
    """

    time: float
    monotonic: float
    vcpus: Mapping[Vcpu, Mapping[str, int]]
    silent: frozenset[Vcpu] = frozenset()
    notes: tuple[str, ...] = ()


class Process(Protocol):
    """A process to copy descriptors of; see :class:`kstats.collector.kvm_stats.pidfd.Pidfd`."""

    def copy(self, fd: int) -> int:
        """Return a copy of a descriptor, for the caller to close; raises OSError."""

    def close(self) -> None:
        """Release the process."""


@attrs.frozen
class Kernel:
    """The system calls of the reader: open a process, and the target of one of our descriptors."""

    open_process: Callable[[int], Process] = pidfd.Pidfd
    target: Callable[[int], str] = pidfd.target


class _ChangedError(Exception):
    """A descriptor is not what it was when the VMM's descriptors were listed."""


class _Vmm:
    """One process that holds VMs, and KVM's descriptors of it as last listed."""

    def __init__(self, proc: Proc, kernel: Kernel, pid: int) -> None:
        # The pidfd first: as long as it works, the pid means this process in /proc.
        self._process = kernel.open_process(pid)
        start = proc.start(pid)
        if start is None:
            self._process.close()
            raise ProcessLookupError
        self._proc = proc
        self._target = kernel.target
        self._pid = pid
        self._start = start
        self._folders: list[Folder] | None = None
        self._list_again = 0.0
        self._layouts: dict[int, Layout] = {}
        self.found = Descriptors()

    def follow(self, folders: list[Folder]) -> None:
        """List the descriptors if they may have changed; raises OSError."""
        # Without folders of its vCPUs nothing shows new ones, and statistics may be opened late.
        certain = folders and all(folder.vcpus for folder in folders)
        settled = certain and not self.found.without_stats
        if folders == self._folders and (settled or time.monotonic() < self._list_again):
            return
        self.found = descriptors(self._proc, self._pid)
        self._folders = folders
        self._list_again = time.monotonic() + SEARCH_SECONDS
        self._layouts.clear()

    def counters(self) -> dict[Vcpu, Mapping[str, int]] | None:
        """Read the counters of its vCPUs; None if descriptors changed: follow, and try again.

        Raises:
            OSError: ProcessLookupError once the process has ended.
            FormatError: statistics in an unknown format.
        """
        try:
            with self._kept_alive():
                return {
                    self._vcpu(fd, vcpu): self._read(fd, vcpu)
                    for fd, vcpu in self.found.stats.items()
                }
        except _ChangedError:
            self._folders = None
            return None

    def silent(self) -> Iterator[Vcpu]:
        """Yield the vCPUs without statistics."""
        first = {vcpu: fd for fd, vcpu in sorted(self.found.vcpus.items(), reverse=True)}
        return (self._vcpu(first[vcpu], vcpu) for vcpu in self.found.without_stats)

    def _vcpu(self, fd: int, vcpu: int) -> Vcpu:
        return Vcpu(self._pid, vcpu, self._start, fd)

    def close(self) -> None:
        self._process.close()

    @contextmanager
    def _kept_alive(self) -> Iterator[None]:
        """Hold copies of the VMs' descriptors; of the vCPUs', if the VMs' are closed."""
        with ExitStack() as copies:
            for fd in self.found.vms or self.found.vcpus:
                copies.enter_context(self._copied(fd))
            yield

    @contextmanager
    def _copied(self, fd: int) -> Iterator[int]:
        try:
            copy = self._process.copy(fd)
        except OSError as error:
            if error.errno == errno.EBADF:
                raise _ChangedError from None
            raise
        try:
            yield copy
        finally:
            os.close(copy)

    def _read(self, fd: int, vcpu: int) -> Mapping[str, int]:
        with self._copied(fd) as copy:
            # By now it may be a file that blocks its reader or loses what is read.
            if self._target(copy) != f"anon_inode:kvm-vcpu-stats:{vcpu}":
                raise _ChangedError
            layout = self._layouts.get(fd)
            if layout is None:
                layout = self._layouts[fd] = parse(os.pread(copy, MAX_BYTES, 0))
            return layout.counters(os.pread(copy, layout.size, layout.data_offset))


def offered(host: Host) -> bool | None:
    """Return whether this kernel's KVM has statistics; None without access to /dev/kvm."""
    try:
        kvm = os.open(f"{host.root}/dev/kvm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return fcntl.ioctl(kvm, _CHECK_EXTENSION, _BINARY_STATS_FD) > 0
    except OSError:
        return None
    finally:
        os.close(kvm)


class VcpuStats:
    """Reads the counters of every vCPU that has statistics; holds a pidfd of each VMM."""

    def __init__(self, host: Host | None = None, kernel: Kernel | None = None) -> None:
        """Read nothing yet.

        Raises:
            UnsupportedHostError: this kernel's KVM has no statistics.
        """
        host = host or Host()
        if offered(host) is False:
            raise UnsupportedHostError(
                "this kernel's KVM has no binary statistics (KVM_CAP_BINARY_STATS_FD)",
                "they need Linux 5.14 or later",
            )
        self._kernel = kernel or Kernel()
        self._proc = Proc(host.root)
        self._finder = Finder(host)
        self._vmms: dict[int, _Vmm] = {}

    def read(self) -> Snapshot:
        """Read the counters. VMs may come and go between two readings.

        Raises:
            PrivilegeError: this user may copy no VMM's descriptors, or find no VMM.
            UnsupportedHostError: the kernel cannot copy descriptors.
        """
        counters: dict[Vcpu, Mapping[str, int]] = {}
        failed: dict[int, OSError | FormatError] = {}
        found = self._finder.find()
        for pid in self._vmms.keys() - found.keys():
            self._forget(pid)
        for pid, folders in found.items():
            try:
                counters |= self._counters(pid, folders)
            except (ProcessLookupError, FileNotFoundError):  # it has ended
                self._forget(pid)
            except (OSError, FormatError) as error:
                failed[pid] = error
        if failed and not counters:
            _raise_if_host_refuses(failed.values())
        if self._finder.refused and not found:
            raise PrivilegeError("cannot look for VMs in the processes of other users", _ROOT)
        read = (vmm for pid, vmm in self._vmms.items() if pid not in failed)
        silent = frozenset(vcpu for vmm in read for vcpu in vmm.silent())
        notes = tuple(self._notes(failed))
        return Snapshot(time.time(), time.monotonic(), counters, silent, notes)

    def close(self) -> None:
        """Close the pidfds; may be called twice."""
        for pid in list(self._vmms):
            self._forget(pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _counters(self, pid: int, folders: list[Folder]) -> dict[Vcpu, Mapping[str, int]]:
        vmm = self._vmms.get(pid)
        if vmm is None:
            vmm = self._vmms[pid] = _Vmm(self._proc, self._kernel, pid)
        vmm.follow(folders)
        counters = vmm.counters()
        if counters is None:
            vmm.follow(folders)
            counters = vmm.counters()
        return counters or {}

    def _forget(self, pid: int) -> None:
        vmm = self._vmms.pop(pid, None)
        if vmm:
            vmm.close()

    def _notes(self, failed: Mapping[int, OSError | FormatError]) -> Iterator[str]:
        pids = defaultdict(list)
        for pid, error in failed.items():
            pids[f"KVM's counters cannot be read: {_reason(error)}"].append(pid)
        for pid, vmm in self._vmms.items():
            if pid not in failed and vmm.found.without_stats:
                pids[_SILENT].append(pid)
        for text, group in sorted(pids.items()):
            yield f"{_processes(group)}: {text}"
        if self._finder.refused:
            yield f"{self._finder.refused} processes could not be searched for VMs: {_ROOT}"


def _processes(pids: Iterable[int]) -> str:
    first, *rest = sorted(pids)
    shown = ", ".join(map(str, [first, *rest[: _PIDS_SHOWN - 1]]))
    if not rest:
        return f"process {first}"
    hidden = len(rest) - _PIDS_SHOWN + 1
    return f"processes {shown} and {hidden} more" if hidden > 0 else f"processes {shown}"


def _reason(error: OSError | FormatError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _raise_if_host_refuses(errors: Iterable[OSError | FormatError]) -> None:
    """Raise if every VMM refused for the same reason; a single refusal becomes a note."""
    kinds = {error.errno if isinstance(error, OSError) else None for error in errors}
    if kinds <= {errno.EPERM, errno.EACCES}:
        raise PrivilegeError("cannot copy the descriptors of any VMM (pidfd_getfd)", _ROOT)
    if kinds == {errno.ENOSYS}:
        raise UnsupportedHostError("this kernel has no pidfd_getfd", "it needs Linux 5.6 or later")
