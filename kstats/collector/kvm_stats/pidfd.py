"""Copies of another process's descriptors, by pidfd_open(2) and pidfd_getfd(2).

A pidfd refers to one process, even after its pid is used again. A copy of a descriptor is the
same open file; making one needs the right to trace the process (CAP_SYS_PTRACE for processes of
other users). Errors of the kernel are raised as OSError with its errno.
"""

from __future__ import annotations

import ctypes
import os

_GETFD = 438  # the same on every architecture that kstats runs on; since Linux 5.6

_libc = ctypes.CDLL(None, use_errno=True)


class Pidfd:
    """A reference to one process, for the creator to close."""

    def __init__(self, pid: int) -> None:
        """Open process ``pid``; raise ProcessLookupError if it has ended."""
        self._fd = os.pidfd_open(pid)

    def copy(self, fd: int) -> int:
        """Return a copy of the process's descriptor ``fd``, for the caller to close.

        Raises:
            OSError: ProcessLookupError once the process has ended, PermissionError without the
                right to trace it, EBADF if it has no such descriptor.
        """
        copy = int(_libc.syscall(_GETFD, self._fd, fd, 0))
        if copy < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return copy

    def close(self) -> None:
        """Close the reference; may be called twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def target(fd: int) -> str:
    """Return the kernel's name for one of our descriptors, such as ``anon_inode:kvm-vm``."""
    return os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - a Path takes longer than the call
