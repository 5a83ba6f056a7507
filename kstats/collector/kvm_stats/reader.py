"""KVM's own counters of every vCPU, which KVM keeps whether anybody looks or not.

Since Linux 5.14 a VMM can ask KVM for a descriptor of a vCPU's statistics (KVM_GET_STATS_FD);
QEMU does so for every vCPU since 8.1. KVM answers nobody but the VMM (an ioctl from another
process ends in EIO: ``vcpu->kvm->mm != current->mm``), but whoever has the descriptor may read
it. So a copy of the VMM's is read, which pidfd_getfd(2) makes. A VMM that opened none keeps its
counters to itself.

The guest pays nothing but the cache lines of its counters, once a reading: no exit takes longer,
and no thread of the VMM is stopped.

Nothing of a VM is held between two readings. A descriptor of statistics keeps its VM alive: with
one open, page tables, ASID and pinned memory of a VM would outlive its VMM for as long as kstats
sleeps or is stopped (^Z). Where it does not (before "KVM: Grab a reference to KVM for VM and vCPU
stats file descriptors" of 6.5 and its stable series), reading it after the VM's end would read
memory that is somebody else's. So copies are made, read and closed at once, beside copies of the
VM's own descriptor, which keep it alive meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Protocol, Self

import attrs

from kstats.collector.kvm_stats import pidfd
from kstats.collector.kvm_stats.layout import MOST, FormatError, Layout, parse
from kstats.errors import PrivilegeError, UnsupportedHostError
from kstats.host import Host
from kstats.vms import kvm_fds
from kstats.vms.identity import Vcpu

_CHECK_EXTENSION, _BINARY_STATS_FD = 0xAE03, 203  # include/uapi/linux/kvm.h
_PIDS_SHOWN = 5
_ROOT = "run as root: it takes CAP_SYS_PTRACE"
_SILENT = "opened no statistics, as QEMU does since 8.1: KVM's counters of its vCPUs are not known"


@attrs.frozen(eq=False)
class Snapshot:
    """Counters since each vCPU was made.

    Attributes:
        time: Seconds since the epoch (UTC), after the last counter was read.
        monotonic: The same moment on the monotonic clock, seconds.
        vcpus: The counters of each vCPU, by the kernel's names and in its units
            (``halt_wait_ns`` in nanoseconds); values are below 2**64.
        silent: The vCPUs whose VMM opened no statistics; ``fd`` is their own descriptor.
        notes: What is not in it, a line each.
    """

    time: float
    monotonic: float
    vcpus: Mapping[Vcpu, Mapping[str, int]]
    silent: frozenset[Vcpu] = frozenset()
    notes: tuple[str, ...] = ()


class Process(Protocol):
    """The process whose descriptors are copied."""

    def copy(self, fd: int) -> int:
        """A copy of a descriptor, for the caller to close; raises OSError."""

    def close(self) -> None:
        """Lets go of the process."""


@attrs.frozen
class Kernel:
    """What is asked of the kernel: to hold a process, and what a descriptor of ours is."""

    open_process: Callable[[int], Process] = pidfd.Pidfd
    target: Callable[[int], str] = pidfd.target


class _ChangedError(Exception):
    """A descriptor is no more what it was when the VMM was looked through."""


class _Vmm:
    """One process that holds VMs, and what was found when it was last looked through."""

    def __init__(self, host: Host, kernel: Kernel, pid: int) -> None:
        # The pidfd first: as long as it works, the number in /proc means this process.
        self._process = kernel.open_process(pid)
        self._host = host
        self._target = kernel.target
        self._pid = pid
        self._start_time = kvm_fds.start_time(host, pid) or 0
        self._token: Hashable = None
        self._look_again = 0.0
        self._layouts: dict[int, Layout] = {}
        self.found = kvm_fds.Descriptors()

    def follow(self, token: Hashable) -> None:
        """Looks through the process if it may have changed; raises OSError if that cannot be."""
        late = bool(self.found.without_stats) and time.monotonic() >= self._look_again
        if token == self._token and not late:
            return
        self._token = token
        self._look_again = time.monotonic() + kvm_fds.WALK_SECONDS
        self._layouts.clear()
        self.found = kvm_fds.descriptors(self._host, self._pid)

    def counters(self) -> dict[Vcpu, Mapping[str, int]] | None:
        """The counters of its vCPUs; None if they changed, until they are followed.

        Raises:
            OSError: ProcessLookupError once the process is gone.
            FormatError: statistics of a form that is not known.
        """
        try:
            with self._kept_alive():
                return {
                    self._vcpu(fd, vcpu): self._read(fd, vcpu)
                    for fd, vcpu in self.found.stats.items()
                }
        except _ChangedError:
            self._token = None
            return None

    def silent(self) -> Iterator[Vcpu]:
        """The vCPUs that it opened no statistics of."""
        first = {vcpu: fd for fd, vcpu in sorted(self.found.vcpus.items(), reverse=True)}
        return (self._vcpu(first[vcpu], vcpu) for vcpu in self.found.without_stats)

    def _vcpu(self, fd: int, vcpu: int) -> Vcpu:
        return Vcpu(self._pid, vcpu, self._start_time, fd)

    def close(self) -> None:
        self._process.close()

    @contextmanager
    def _kept_alive(self) -> Iterator[None]:
        """Keeps its VMs, by their own descriptors or by those of their vCPUs."""
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
            # It may have become a file whose reading blocks or has effects.
            if self._target(copy) != f"anon_inode:kvm-vcpu-stats:{vcpu}":
                raise _ChangedError
            layout = self._layouts.get(fd)
            if layout is None:
                layout = self._layouts[fd] = parse(os.pread(copy, MOST, 0))
            return layout.counters(os.pread(copy, layout.size, layout.data_offset))


def offered(host: Host) -> bool | None:
    """Whether the kernel gives statistics to VMMs that ask; None where KVM cannot be asked."""
    try:
        kvm = os.open(host.root / "dev/kvm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return fcntl.ioctl(kvm, _CHECK_EXTENSION, _BINARY_STATS_FD) > 0
    except OSError:
        return None
    finally:
        os.close(kvm)


class VcpuStats:
    """Reads the counters of every vCPU whose VMM opened them; it keeps a pidfd of each VMM."""

    def __init__(self, host: Host | None = None, kernel: Kernel | None = None) -> None:
        """Reads nothing yet.

        Raises:
            UnsupportedHostError: the kernel has no statistics that a VMM could open.
        """
        self._host = host or Host()
        if offered(self._host) is False:
            raise UnsupportedHostError(
                "this kernel's KVM gives no statistics to VMMs (KVM_CAP_BINARY_STATS_FD)",
                "Linux has them since 5.14",
            )
        self._kernel = kernel or Kernel()
        self._finder = kvm_fds.Finder(self._host)
        self._vmms: dict[int, _Vmm] = {}

    def read(self) -> Snapshot:
        """The counters now. VMs may come and go between two readings.

        Raises:
            PrivilegeError: no VMM lets its descriptors be copied, or may even be looked for.
            UnsupportedHostError: the kernel cannot copy descriptors.
        """
        counters: dict[Vcpu, Mapping[str, int]] = {}
        failed: dict[int, OSError | FormatError] = {}
        tokens = self._finder.find()
        for pid in self._vmms.keys() - tokens.keys():
            self._vmms.pop(pid).close()
        for pid, token in tokens.items():
            try:
                counters |= self._counters(pid, token)
            except (ProcessLookupError, FileNotFoundError):  # it ended
                self._forget(pid)
            except (OSError, FormatError) as error:
                failed[pid] = error
        if failed and not counters:
            _raise_if_all_alike(failed.values())
        if self._finder.refused and not tokens:
            raise PrivilegeError("no other user's processes may be looked into", _ROOT)
        read = (vmm for pid, vmm in self._vmms.items() if pid not in failed)
        silent = frozenset(vcpu for vmm in read for vcpu in vmm.silent())
        notes = tuple(self._notes(failed))
        return Snapshot(time.time(), time.monotonic(), counters, silent, notes)

    def close(self) -> None:
        """Closes the pidfds; doing it twice is fine."""
        for pid in list(self._vmms):
            self._forget(pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _counters(self, pid: int, token: Hashable) -> dict[Vcpu, Mapping[str, int]]:
        vmm = self._vmms.get(pid)
        if vmm is None:
            vmm = self._vmms[pid] = _Vmm(self._host, self._kernel, pid)
        vmm.follow(token)
        counters = vmm.counters()
        if counters is None:
            vmm.follow(token)
            counters = vmm.counters()
        return counters or {}

    def _forget(self, pid: int) -> None:
        vmm = self._vmms.pop(pid, None)
        if vmm:
            vmm.close()

    def _notes(self, failed: Mapping[int, OSError | FormatError]) -> Iterator[str]:
        pids = defaultdict(list)
        for pid, error in failed.items():
            pids[f"counters cannot be read: {_reason(error)}"].append(pid)
        for pid, vmm in self._vmms.items():
            if pid not in failed and vmm.found.without_stats:
                pids[_SILENT].append(pid)
        for text, those in sorted(pids.items()):
            yield f"{_processes(those)}: {text}"
        if self._finder.refused:
            yield f"{self._finder.refused} processes were not looked into: {_ROOT}"


def _processes(pids: Iterable[int]) -> str:
    first, *rest = sorted(pids)
    shown = ", ".join(map(str, [first, *rest[: _PIDS_SHOWN - 1]]))
    if not rest:
        return f"process {first}"
    hidden = len(rest) - _PIDS_SHOWN + 1
    return f"processes {shown} and {hidden} more" if hidden > 0 else f"processes {shown}"


def _reason(error: OSError | FormatError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _raise_if_all_alike(errors: Iterable[OSError | FormatError]) -> None:
    """What no VMM allows is a matter of the host; what one does not is a note."""
    kinds = {error.errno if isinstance(error, OSError) else None for error in errors}
    if kinds <= {errno.EPERM, errno.EACCES}:
        raise PrivilegeError("no VMM's descriptors may be copied (pidfd_getfd)", _ROOT)
    if kinds == {errno.ENOSYS}:
        raise UnsupportedHostError("this kernel cannot copy descriptors (pidfd_getfd, Linux 5.6)")
