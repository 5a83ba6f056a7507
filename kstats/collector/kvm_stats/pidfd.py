"""Another process's descriptors, by pidfd_open(2) and pidfd_getfd(2).

A pidfd stands for one process, even after its number has been given to another. A copy of a
descriptor is the same open file; making it needs the right to trace the process (CAP_SYS_PTRACE
for other users' processes). Errors of the kernel come as OSError with its errno.
"""

from __future__ import annotations

import ctypes
import os

_GETFD = 438  # the same on every architecture that kstats runs on; since Linux 5.6

_libc = ctypes.CDLL(None, use_errno=True)


class Pidfd:
    """One process. Whoever made it closes it."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError if there is no such process."""
        self._fd = os.pidfd_open(pid)

    def copy(self, fd: int) -> int:
        """A copy of the process's descriptor ``fd``, for the caller to close.

        Raises ProcessLookupError once the process is gone, PermissionError without the right to
        trace it, and OSError (EBADF) if it has no such descriptor.
        """
        copy = int(_libc.syscall(_GETFD, self._fd, fd, 0))
        if copy < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return copy

    def close(self) -> None:
        """Closes it; doing it twice is fine."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def target(fd: int) -> str:
    """What one of our own descriptors is, as the kernel names it (``anon_inode:kvm-vm``)."""
    return os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - a Path takes longer than the call
