"""Facts about processes and threads, read from /proc.

Processes end while they are being read, and other users' may be closed to us. Except for
:meth:`Proc.descriptors`, what cannot be read is None or empty and never an error. Formats: proc(5).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TypeAlias

_SHORT, _LONG = 1 << 12, 1 << 18
"""Bytes read at most: of short files, and of command lines (the name is near the front)."""

_HOST_PIDS = "pid:[4026531836]"
"""The initial PID namespace, always: PROC_PID_INIT_INO (include/linux/proc_ns.h)."""

_USER, _SYSTEM, _START_TIME = 11, 12, 19
"""Indices of fields 14, 15 and 22 in what :meth:`Proc._stat` returns."""

Stamp: TypeAlias = tuple[int, int, int]
"""Inode, links and modification time of a directory.

In procfs and debugfs a directory that is made anew has another inode, each of its subdirectories
is a link, and the time never changes. On other file systems (test trees) the time does.
"""


class Proc:
    """The /proc below ``root``."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = f"{root}/proc".replace("//", "/")

    def comm(self, pid: int, tid: int) -> str:
        """Return the name of a thread: at most 15 bytes, any but NUL, chosen by the thread."""
        raw = read(f"{self._root}/{pid}/task/{tid}/comm", _SHORT) or b""
        return text(raw.removesuffix(b"\n"))

    def cmdline(self, pid: int) -> list[str]:
        """Return the words of the command line; none for a kernel thread or a zombie."""
        raw = read(f"{self._root}/{pid}/cmdline", _LONG) or b""
        return [text(word) for word in raw.removesuffix(b"\0").split(b"\0")] if raw else []

    def cgroups(self, pid: int) -> list[str]:
        """Return the cgroup of the process in each hierarchy; version 2 has a single one."""
        lines = (read(f"{self._root}/{pid}/cgroup", _LONG) or b"").splitlines()
        return [text(line.split(b":", 2)[2]) for line in lines if line.count(b":") >= 2]

    def program(self, pid: int) -> str:
        """Return the file name of the running program, without its directory."""
        link = _link(f"{self._root}/{pid}/exe").removesuffix(" (deleted)")
        return link.rpartition("/")[2]

    def start(self, pid: int) -> int | None:
        """Return when the process started, in clock ticks after boot; None if it has ended.

        A pid and its start time identify a process for as long as the host runs.
        """
        # The thread's file, not the process's: reading that adds up all threads first.
        fields = self._stat(pid, pid)
        found = fields[_START_TIME] if len(fields) > _START_TIME else b""
        return int(found) if found.isdigit() else None

    def state(self, pid: int, tid: int) -> str:
        """Return a thread's state as a letter (field 3 of its stat); empty once it has ended."""
        return text(b"".join(self._stat(pid, tid)[:1]))

    def ticks(self, pid: int, tid: int) -> int | None:
        """Return the CPU time of a thread in clock ticks; None once it has ended."""
        fields = self._stat(pid, tid)[_USER : _SYSTEM + 1]
        return sum(map(int, fields)) if len(fields) > 1 else None

    def owner(self, tid: int) -> int | None:
        """Return the process that a thread belongs to."""
        # /proc/TID exists for every thread, although only processes are listed.
        return next(iter(self._numbers(tid, b"Tgid:")), None)

    def own_pid(self, pid: int) -> int | None:
        """Return the pid of the process in its own PID namespace."""
        return next(reversed(self._numbers(pid, b"NSpid:")), None)

    def threads(self, pid: int) -> dict[str, int]:
        """Return the inode of each thread of a process, by thread ID; empty once it has ended.

        Another thread of the same number has another inode. The kernel may also give a running
        thread a new inode when it is short of memory: a difference is a reason to look again.
        """
        return _inodes(f"{self._root}/{pid}/task")

    def stamp(self, pid: int) -> Stamp | None:
        """Return a stamp that differs for another process and another number of threads.

        None once the process has ended.
        """
        return stamp(f"{self._root}/{pid}/task")

    def has_thread(self, pid: int, tid: int) -> bool:
        """Return whether the process has this thread now."""
        return os.access(f"{self._root}/{pid}/task/{tid}", os.F_OK)

    def processes(self) -> dict[str, int]:
        """Return the inode of each process, by pid; see :meth:`threads`."""
        return _inodes(self._root)

    def descriptors(self, pid: int) -> Iterator[tuple[int, str]]:
        """Yield the file descriptors of a process and their targets.

        Raises:
            OSError: FileNotFoundError once the process has ended, PermissionError without the
                right to look into it.
        """
        folder = f"{self._root}/{pid}/fd"
        with os.scandir(folder) as entries:
            fds = [entry.name for entry in entries]
        for fd in fds:
            try:
                yield int(fd), text(os.readlink(f"{folder}/{fd}".encode()))  # noqa: PTH115 - bytes
            except FileNotFoundError:  # it was closed in the meantime
                continue

    def has_host_pids(self) -> bool | None:
        """Return whether pids here are those of the host; None if that cannot be known.

        The kernel counts VM exits by the host's pids; a container's /proc shows others.
        """
        # Process 1 lives in the namespace that this /proc shows, but looking takes privileges.
        link = _link(f"{self._root}/1/ns/pid")
        if link:
            return link == _HOST_PIDS
        return True if _link(f"{self._root}/self/ns/pid") == _HOST_PIDS else None

    def _stat(self, pid: int, tid: int) -> list[bytes]:
        """Return the fields of a thread's stat from field 3 on."""
        raw = read(f"{self._root}/{pid}/task/{tid}/stat", _SHORT) or b""
        # Field 2 is the name in parentheses and may hold any byte; no later field holds a ")".
        return raw.rpartition(b")")[2].split()

    def _numbers(self, pid: int, field: bytes) -> list[int]:
        for line in (read(f"{self._root}/{pid}/status", _SHORT) or b"").splitlines():
            if line.startswith(field):
                return [int(word) for word in line.split()[1:] if word.isdigit()]
        return []


def read(path: str, limit: int) -> bytes | None:
    """Read the first ``limit`` bytes of a file of procfs or debugfs; None if that fails."""
    # Not pathlib: these few calls are most of the cost of a sample.
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(file, limit)
    except OSError:
        return None
    finally:
        os.close(file)


def stamp(path: str) -> Stamp | None:
    """Return the stamp of a directory; None if it does not exist."""
    try:
        status = os.stat(path)  # noqa: PTH116 - pathlib takes as long as the call itself
    except OSError:
        return None
    return status.st_ino, status.st_nlink, status.st_mtime_ns


def names(folder: str) -> list[str]:
    """Return the names in a directory; empty if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def text(raw: bytes) -> str:
    """Decode bytes of another process; see :mod:`kstats.escape` for printing them."""
    return raw.decode("utf-8", "surrogateescape")


def _link(path: str) -> str:
    try:
        return text(os.readlink(path.encode()))  # noqa: PTH115 - bytes, in any locale
    except OSError:
        return ""


def _inodes(folder: str) -> dict[str, int]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.inode() for entry in entries if entry.name.isdecimal()}
    except OSError:
        return {}
